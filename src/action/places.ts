import { lstat, readlink, stat } from 'node:fs/promises'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { located, workspaceOf } from '../bytes/workspace.ts'
import { isAsCommitted, isOfAnother, isTracked, readHead } from '../github/git.ts'
import { blobId, readAt } from '../github/repository.ts'
import { checkoutOf, isCheckout, isSubmodule, pathEnds, pathWithin } from './checkout.ts'
import { Dvc, isKept } from './dvc.ts'
import type { Sides } from './sides.ts'
import { workflowOnBase } from './workflow.ts'

/** Where a file or folder lies, its links followed: in the repository, at this path, or not. */
export type Place =
  | { readonly kind: 'inside'; readonly path: string; readonly inRepository: string }
  | { readonly kind: 'outside'; readonly path: string }
  | { readonly kind: 'unknown'; readonly reason: string }

/** Tells where paths of the workspace lie in the repository, where a change is judged. GitHub's errors pass through. */
export class Places {
  readonly #sides: Sides
  /** By the commit and the folder of the checkout. */
  readonly #dvc = new Map<string, Dvc>()
  /** By the folder of the checkout. */
  readonly #foreign = new Map<string, Promise<boolean>>()
  /** By the folder. */
  readonly #shares = new Map<string, number>()
  #thinned: Promise<boolean> | undefined

  constructor(sides: Sides) {
    this.#sides = sides
  }

  /** Where a path of the workspace lies in the repository. */
  async place(path: string): Promise<Place> {
    const followed = await this.follow(path)
    if ('reason' in followed) return { kind: 'unknown', reason: followed.reason }
    const { path: real } = followed
    const checkout = await checkoutAt(real)
    if (await isSubmodule(checkout))
      return (await this.#isKept(checkout)) ? { kind: 'outside', path: real } : { kind: 'unknown', reason: SUBMODULE }
    const root = (await isCheckout(checkout)) ? checkout : ((await this.#bareRoot(real)) ?? checkout)
    const inRepository = pathWithin(root, real)
    if (inRepository === undefined || (await this.isForeign(checkout))) return { kind: 'outside', path: real }
    return { kind: 'inside', path: real, inRepository }
  }

  /**
   * A path without links that are in the repository, or that a step made, between it and its checkout; or why they may be the judged
   * change's. Links that lie in the place of what the base branch has are not followed.
   */
  async follow(path: string): Promise<{ readonly path: string } | { readonly reason: string }> {
    let at = located(path)
    for (let count = 0; count < MOST_LINKS; count++) {
      const checkout = await checkoutOf(at, workspaceOf())
      const link = pathWithin(checkout, at) === undefined ? undefined : await firstLink(checkout, at)
      if (link === undefined) return { path: at }
      const target = await readlink(link)
      if (!(await this.isForeign(checkout))) {
        const found = await this.#ofLink(checkout, at, link)
        if (found === 'kept') return { path: at }
        if (found !== 'followed') return { reason: found }
      }
      at = resolve(dirname(link), target, relative(link, at))
    }
    return { reason: 'it is reached through too many links' }
  }

  /**
   * Whether a link on the way to a path is followed, or `kept`, for the base branch has something else at that path; or why it may be the
   * judged change's.
   */
  async #ofLink(checkout: string, at: string, link: string): Promise<string> {
    const [base, head] = [await this.#sides.list(this.#sides.base), await this.#sides.list(this.#sides.head)]
    const isGit = await isCheckout(checkout)
    const root = isGit ? checkout : ((await this.#bareRoot(at)) ?? checkout)
    const [name, whole] = [pathWithin(root, link), pathWithin(root, at)!]
    // On the way to the checkout it is a step's.
    if (name === undefined) return 'followed'
    const isTrackedHere = isGit && (await isTracked(checkout, link))
    const isLinkOfHead = head.all
      ? head.links.has(name)
      : (await this.#sides.kind(name, this.#sides.head)) === 'symlink'
    const isThere = base.files.has(whole) || [...base.files.keys()].some(file => file.startsWith(`${whole}/`))
    // DVC may put links to its cache in the place of what it keeps, which git does not have.
    if (isThere || (!isTrackedHere && !isLinkOfHead && (await this.isOfDvc(at, whole)))) return 'kept'
    const isBase = base.links.get(name) === blobId(Buffer.from(await readlink(link)))
    const isStep = base.all && head.all && !base.links.has(name) && !head.links.has(name) && !isTrackedHere
    const commit = isTrackedHere ? await this.#otherThanJudged(checkout) : undefined
    const isChosen =
      commit !== undefined && (await this.#sides.wasChosen(commit)) && (await isAsCommitted(checkout, link))
    if (isBase || isStep || isChosen) return 'followed'
    return `it is reached through the link ${name}, which is not known to be that branch's`
  }

  /** Whether another checkout lies in the place of what the base branch has, in git or in DVC. */
  async isCovered(path: string): Promise<boolean> {
    for (const name of await this.around(path)) if (name !== '' && (await this.#isOfBase(path, name))) return true
    // Or has been put there by another workflow than the base branch's.
    if (await this.#isAtTop(path)) return false
    if ((await workflowOnBase(this.#sides.context)).state !== 'other') return false
    const own = await checkoutAt(path)
    const reached = (await this.isForeign(own)) ? undefined : pathWithin(own, path)
    for (const name of ends(path)) if (name !== reached && (await this.#isOfBase(path, name))) return true
    return false
  }

  async #isOfBase(path: string, name: string): Promise<boolean> {
    return (await this.#sides.has(name, this.#sides.base)) || this.isOfDvc(path, name)
  }

  /**
   * The paths in the repository that a file has by the checkouts around its own, and the workspace, the outermost first; where its own is
   * another repository's, the workspace's among them.
   */
  async around(path: string): Promise<string[]> {
    const root = workspaceOf()
    let at = await checkoutAt(path)
    const folders = new Set((await this.isForeign(at)) ? [root] : [])
    while (at !== root) {
      at = await checkoutOf(at, root)
      if (at === root || ((await isCheckout(at)) && !(await this.isForeign(at)))) folders.add(at)
    }
    return [...folders].sort((a, b) => a.length - b.length).flatMap(folder => pathWithin(folder, path) ?? [])
  }

  /**
   * Further paths that a file may have in the repository: all ends of its path where no git tells where a checkout begins, or where
   * another workflow than the base branch's says where one lies.
   */
  async further(path: string): Promise<string[]> {
    if (await this.#isAtTop(path)) return []
    const isTold = await isCheckout(await checkoutAt(path))
    return isTold && (await workflowOnBase(this.#sides.context)).state !== 'other' ? [] : ends(path)
  }

  /** Whether the workspace is this repository's checkout, and what a file lies in. */
  async #isAtTop(path: string): Promise<boolean> {
    const own = await checkoutAt(path)
    return own === workspaceOf() && (await isCheckout(own)) && !(await this.isForeign(own))
  }

  /**
   * What it is that the base branch has in the way of a path where it has no file: a link or a submodule, which the change has put a folder
   * in the place of.
   */
  async inTheWay(inRepository: string): Promise<string | undefined> {
    const { links, all } = await this.#sides.list(this.#sides.base)
    for (const name of waysTo(inRepository)) {
      const kind = all ? undefined : await this.#sides.kind(name, this.#sides.base)
      if (links.has(name) || kind === 'symlink' || kind === 'submodule') return name
    }
    return undefined
  }

  /** Whether a submodule is at the commit that the base branch has, and what would be merged, too. */
  async #isKept(submodule: string): Promise<boolean> {
    const around = await checkoutOf(submodule, workspaceOf())
    if (!(await isCheckout(around)) || (await this.isForeign(around)) || (await isSubmodule(around))) return false
    const [name, head] = [pathWithin(around, submodule)!, await readHead(submodule)]
    const [base, merged] = [await this.#sides.list(this.#sides.base), await this.#sides.list(this.#sides.merge)]
    return head !== undefined && base.links.get(name) === head.sha && merged.links.get(name) === head.sha
  }

  /**
   * Where no git tells where a checkout begins: the folder on the way to a path that has the most of what one side has at its top, the
   * innermost of such, in which the path is one of the base branch's, or else of the judged commit's. Where an archive may lack what the
   * repository has, any folder in which the path is one of theirs.
   */
  async #bareRoot(path: string): Promise<string | undefined> {
    const below = pathWithin(workspaceOf(), path)
    if (below === undefined) return undefined
    const folders = below.split('/').map((_, i, parts) => join(workspaceOf(), ...parts.slice(0, i)))
    const shares: { readonly folder: string; readonly share: number }[] = []
    for (const folder of folders.slice(0, MOST_LINKS).reverse())
      shares.push({ folder, share: await this.#shareAt(folder) })
    const isThinned = await this.#isThinned()
    const most = Math.max(MOST_OF_TOP, ...shares.map(({ share }) => share))
    const likely = shares
      .filter(({ share }) => isThinned || share >= most)
      .sort((a, b) => b.share - a.share)
      .map(({ folder }) => folder)
    const { base, head } = this.#sides
    for (const has of [
      (name: string) => this.#sides.has(name, base),
      (name: string) => this.isOfDvc(path, name),
      (name: string) => this.#sides.has(name, head),
    ])
      for (const folder of likely) if (await has(pathWithin(folder, path)!)) return folder
    return likely[0]
  }

  /** Whether a side's attributes leave something out of the archive that a checkout without git is unpacked from. */
  #isThinned(): Promise<boolean> {
    this.#thinned ??= (async () => {
      for (const ref of [this.#sides.base, this.#sides.head]) {
        if (!(await this.#sides.at(ATTRIBUTES, ref))) continue
        const text = await readAt(this.#sides.api, this.#sides.context, {
          path: ATTRIBUTES,
          ref,
          most: MOST_ATTRIBUTES,
        })
        if (text?.includes('export-ignore')) return true
      }
      return false
    })()
    return this.#thinned
  }

  /** Of what either side has at its top, the share that a folder has. */
  async #shareAt(folder: string): Promise<number> {
    const known = this.#shares.get(folder)
    if (known !== undefined) return known
    const shares: number[] = []
    for (const ref of [this.#sides.base, this.#sides.head]) {
      const { files, links } = await this.#sides.list(ref)
      const top = [...new Set([...files.keys(), ...links.keys()].map(name => name.split('/', 1)[0]))]
      const there = await Promise.all(top.map(name => lstat(join(folder, name)).catch(() => undefined)))
      shares.push(there.filter(Boolean).length / Math.max(top.length, 1))
    }
    const share = Math.max(...shares)
    this.#shares.set(folder, share)
    return share
  }

  /** Whether DVC keeps a file or a folder of the base branch's there. */
  async isOfDvc(path: string, inRepository: string): Promise<boolean> {
    return isKept(await (await this.dvcOf(path, inRepository)).ask(inRepository))
  }

  /**
   * What DVC says of the checkout that a file lies in.
   * @param commit that the checkout is of, and may be; undefined where it is of what is judged
   */
  async dvcOf(path: string, inRepository: string, commit?: string): Promise<Dvc> {
    const root = resolve(path, ...inRepository.split('/').map(() => '..'))
    const key = `${commit ?? ''} ${root}`
    const dvc =
      this.#dvc.get(key) ??
      new Dvc(this.#sides.api, this.#sides.context, { ...(await this.dvcSides(path, commit)), root })
    this.#dvc.set(key, dvc)
    return dvc
  }

  /** What DVC is asked of: both sides, or the commit that a checkout is of. */
  async dvcSides(path: string, commit?: string) {
    const checkouts = [await checkoutAt(path)]
    const [base, head] = commit === undefined ? [this.#sides.base, this.#sides.head] : [commit, commit]
    return { base, head, checkouts, listed: { base: () => this.#sides.list(base), head: () => this.#sides.list(head) } }
  }

  /** Whether a checkout is another repository's. */
  isForeign(checkout: string): Promise<boolean> {
    const asked = this.#foreign.get(checkout) ?? isOfAnother(checkout, this.#sides.context)
    this.#foreign.set(checkout, asked)
    return asked
  }

  /** The commit that a file is of, where it lies in a checkout of its own of another than what is judged. */
  async otherCommit(path: string): Promise<string | undefined> {
    return this.#otherThanJudged(await checkoutAt(path))
  }

  async #otherThanJudged(checkout: string): Promise<string | undefined> {
    const { sha } = (checkout !== workspaceOf() && (await readHead(checkout))) || {}
    return sha === this.#sides.head || sha === this.#sides.merge ? undefined : sha
  }
}

/** The ends of a path of the workspace, the longest first. */
export function ends(path: string): string[] {
  return pathEnds(pathWithin(workspaceOf(), path) ?? '').slice(1, MOST_LINKS)
}

/** A path of the repository, and the folders on the way to it. */
export function waysTo(inRepository: string): string[] {
  const parts = inRepository.split('/')
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}

const SUBMODULE = 'it lies in a submodule, which the change may have moved'
/** As Linux has it. */
const MOST_LINKS = 40
/** Of what a repository has at its top, what a folder has to have to be taken for its checkout. */
const MOST_OF_TOP = 0.5
const ATTRIBUTES = '.gitattributes'
const MOST_ATTRIBUTES = 1024 * 1024

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

/** The checkout that a file lies in; of a folder, that of what it holds. */
export async function checkoutAt(path: string): Promise<string> {
  return checkoutOf((await isFolder(path)) ? join(path, 'x') : path, workspaceOf())
}

/** The first link below a folder on the way to a path. */
async function firstLink(folder: string, path: string): Promise<string | undefined> {
  let at = folder
  for (const name of relative(folder, path).split(sep)) {
    at = join(at, name)
    if ((await lstat(at).catch(() => undefined))?.isSymbolicLink()) return at
  }
  return undefined
}
