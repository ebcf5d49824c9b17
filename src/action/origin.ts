import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, readlink, stat } from 'node:fs/promises'
import { basename, dirname, join, posix, relative, resolve, sep } from 'node:path'
import { exists } from '../bytes/file.ts'
import { readSmallFile } from '../bytes/small-file.ts'
import { located, workspaceOf } from '../bytes/workspace.ts'
import { readAttention } from '../checkpoint/attention.ts'
import { isLookedAt } from '../checkpoint/folder.ts'
import { openCheckpoint } from '../checkpoint/index.ts'
import { TRAINER_STATE } from '../checkpoint/moment.ts'
import { lfsObject } from '../checkpoint/pointer.ts'
import { SIDECARS } from '../checkpoint/quantised/family.ts'
import type { ReadOptions } from '../checkpoint/reader.ts'
import { isShardIndex } from '../checkpoint/shards.ts'
import { CheckpointError } from '../errors.ts'
import type { Api } from '../github/api.ts'
import { baseBranch, baseRef } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { isAsCommitted, isOfAnother, isTracked, readHead } from '../github/git.ts'
import {
  blobId,
  type FileAt,
  filesAt,
  isOnBranch,
  kindAt,
  type Listing,
  namesAt,
  readAt,
  statAt,
} from '../github/repository.ts'
import { limits } from '../limits.ts'
import { checkoutOf, isCheckout, isSubmodule, pathWithin } from './checkout.ts'
import { Dvc } from './dvc.ts'
import { workflowOnBase } from './workflow.ts'

/**
 * Whose a file is that lies here: of the base branch, by git, Git LFS or DVC; the judged change's, which brings it; another than the base
 * branch's of this path, `edited`, where that is in git and can be had, `unknown` where not; or what a step has made.
 */
export type Origin =
  | { readonly whose: 'base' | 'head' | 'step' }
  | { readonly whose: 'edited'; readonly inRepository: string }
  | Unknown

/** Where a file or folder lies, its links followed: in the repository, at this path, or not. */
export type Place =
  | { readonly kind: 'inside'; readonly path: string; readonly inRepository: string }
  | { readonly kind: 'outside'; readonly path: string }
  | ({ readonly kind: 'unknown' } & Unknown)

interface Unknown {
  readonly whose: 'unknown'
  readonly reason: string
}

/** How a checkpoint is read, and whether its config is, for the heads of attention. */
export interface Reading extends ReadOptions {
  readonly splitPacked: boolean
}

/** Tells whose files are, where a change is judged. GitHub's errors pass through, and UnreadableError. */
export class Origins {
  readonly #api: Api
  readonly #context: Context
  readonly #base: string
  readonly #head: string
  /** What would be merged, where that is known. */
  readonly #merge: string
  /** By the commit and the folder of the checkout. */
  readonly #dvc = new Map<string, Dvc>()
  readonly #listings = new Map<string, Listing>()
  /** By the folder of the checkout. */
  readonly #foreign = new Map<string, Promise<boolean>>()
  /** By the commit: whether the base branch's workflow compares with it. */
  readonly #chosen = new Map<string, Promise<boolean>>()

  constructor(api: Api, context: Context) {
    this.#api = api
    this.#context = context
    this.#base = baseRef(context)
    this.#head = context.pullRequest?.headSha ?? context.mergeGroup!.headSha
    this.#merge = /^refs\/pull\/\d+\/merge$/.test(context.ref) ? context.sha : this.#head
  }

  /**
   * Whose a checkpoint is: a file or a folder, with all that is read of it or beside it. A folder whose files are the base branch's or a
   * step's is a step's.
   * @param options those that it will be read with
   */
  async ofCheckpoint(path: string, options: Reading): Promise<Origin> {
    const place = await this.#place(path)
    if (place.kind === 'unknown') return place
    if (await this.#isCovered(place.path)) return unknown(COVERED)
    if (place.kind === 'outside') return { whose: 'step' }
    if (!(await isFolder(path))) return this.#ofFile(path, place, options)
    // Of another commit each file is held against that.
    const isAlone = (await this.#otherCommit(path)) !== undefined
    const before = isAlone ? [] : (await this.#below(place.inRepository)).filter(isLookedAt)
    for (const name of before)
      if (!(await exists(join(path, posix.relative(place.inRepository, name)))))
        return unknown(`${name} is not here, which that branch has`)
    const read = await this.#ofOthers(path, options)
    const of = new Set(read.map(({ origin }) => origin.whose))
    if (!isAlone && before.length === 0 && of.size === 1 && of.has('head')) return { whose: 'head' }
    return whyOther(read) ?? { whose: 'step' }
  }

  /** The same of a checkpoint that need not be here, by what both sides have at its path. */
  async ofBothSides(path: string): Promise<Origin> {
    const place = await this.#place(path)
    if (place.kind === 'unknown') return place
    if (await this.#isCovered(place.path)) return unknown(COVERED)
    if (place.kind === 'outside') return { whose: 'step' }
    const [base, head] = [await this.#list(this.#base), await this.#list(this.#head)]
    if (!base.all || !head.all) return unknown('the repository has too many files for all to be listed')
    const { inRepository } = place
    const isThere = (await this.#has(inRepository, this.#base)) || (await this.#has(inRepository, this.#head))
    // A job without the checkpoint may have its checkouts elsewhere, too.
    const names = isThere ? [inRepository] : [inRepository, ...ends(place.path)]
    for (const name of names) {
      const origin = await this.#ofPath(path, name, { base, head })
      if (origin.whose !== 'step') return origin
    }
    return { whose: 'step' }
  }

  /** Of what both sides have at a path, and beside it. */
  async #ofPath(path: string, inRepository: string, { base, head }: Record<'base' | 'head', Listing>): Promise<Origin> {
    const idIn = ({ files, links }: Listing, name: string) => files.get(name)?.sha ?? links.get(name)
    const all = [base, head].map(({ files, links }) => [...files.keys(), ...links.keys()])
    const isOfIt = partOf(inRepository, all.flat())
    const linked = waysTo(inRepository).find(name => base.links.has(name) || head.links.has(name))
    if (linked !== undefined) return unknown(`it is reached through the link ${linked}`)
    const [before, now] = all.map(names => names.filter(isOfIt))
    const inner = [...before, ...now].find(name => base.links.has(name) || head.links.has(name))
    if (inner !== undefined) return unknown(`it is reached through the link ${inner}`)
    if (before.length === 0 && now.length > 0) return { whose: 'head' }
    for (const name of new Set([...before, ...now]))
      if (idIn(base, name) !== idIn(head, name) && !(await this.#isMoved(name, idIn(base, name))))
        return unknown(`this change edits ${name}`)
    const dvc = new Dvc(this.#api, this.#context, { ...(await this.#sides(path)), root: undefined })
    const said = await dvc.ask(inRepository)
    return said.kind === 'other' ? unknown(said.reason) : { whose: 'step' }
  }

  /** Whether there is, or may be, a file of the repository at a path, as either side has it. */
  async isOfRepository(path: string): Promise<boolean> {
    const place = await this.#place(path)
    if (place.kind !== 'inside') return place.kind === 'unknown'
    return (await this.#has(place.inRepository, this.#base)) || (await this.#has(place.inRepository, this.#head))
  }

  async #ofFile(path: string, place: Place & { kind: 'inside' }, options: Reading): Promise<Origin> {
    const origin = await this.#of(place.path, place.inRepository)
    if (origin.whose === 'edited' && isShardIndex(place.inRepository)) return unknown('this change edits it')
    if (origin.whose !== 'base' && origin.whose !== 'step') return origin
    for (const name of SIDECARS) {
      const beside = posix.join(posix.dirname(place.inRepository), name)
      if (!(await exists(join(dirname(path), name))) && (await this.#at(beside, this.#base)))
        return unknown(`${beside} is not here, which that branch has beside it`)
    }
    return whyOther(await this.#ofOthers(path, options)) ?? origin
  }

  /** Of the files that are read of a checkpoint, or beside it, but for itself. */
  async #ofOthers(path: string, { splitPacked, ...options }: Reading): Promise<Read[]> {
    // What is no checkpoint is a report, of which nothing else is read.
    const checkpoint = await openCheckpoint(path, options).catch(async error => {
      if (error instanceof CheckpointError && !(await isFolder(path))) return undefined
      throw error
    })
    if (checkpoint && splitPacked) await readAttention(checkpoint)
    const files = new Set((checkpoint?.stamps ?? []).map(stamp => resolve(stamp.path)))
    files.delete(resolve(path))
    // It tells the moment of a training, which judges nothing.
    for (const file of files) if (basename(file) === TRAINER_STATE) files.delete(file)
    const own = await checkoutAt(path)
    const found: Read[] = []
    for (const file of files) {
      const place = await this.#place(file)
      const name = place.kind === 'inside' ? place.inRepository : file
      if ((await checkoutAt(file)) !== own) found.push({ name, origin: unknown(COVERED) })
      else if (place.kind === 'unknown') found.push({ name, origin: place })
      else if (place.kind === 'inside') found.push({ name, origin: await this.#of(place.path, place.inRepository) })
    }
    return found
  }

  /** Where a path of the workspace lies in the repository. */
  async #place(path: string): Promise<Place> {
    const followed = await this.follow(path)
    if ('reason' in followed) return { kind: 'unknown', ...unknown(followed.reason) }
    const { path: real } = followed
    const checkout = await checkoutAt(real)
    if (await isSubmodule(checkout))
      return (await this.#isKept(checkout))
        ? { kind: 'outside', path: real }
        : { kind: 'unknown', ...unknown(SUBMODULE) }
    const inRepository = pathWithin(checkout, real)
    if (inRepository === undefined || (await this.#isForeign(checkout))) return { kind: 'outside', path: real }
    return { kind: 'inside', path: real, inRepository: (await this.#guessed(real)) ?? inRepository }
  }

  /** Whether a submodule is at the commit that the base branch has, and what would be merged, too. */
  async #isKept(submodule: string): Promise<boolean> {
    const around = await checkoutOf(submodule, workspaceOf())
    if (!(await isCheckout(around)) || (await this.#isForeign(around)) || (await isSubmodule(around))) return false
    const [name, head] = [pathWithin(around, submodule)!, await readHead(submodule)]
    const [base, merged] = [await this.#list(this.#base), await this.#list(this.#merge)]
    return head !== undefined && base.links.get(name) === head.sha && merged.links.get(name) === head.sha
  }

  /** Where no git tells where a checkout begins, the longest end of a path that one side has. */
  async #guessed(path: string): Promise<string | undefined> {
    const root = workspaceOf()
    if ((await checkoutAt(path)) !== root || (await isCheckout(root))) return undefined
    for (const name of [pathWithin(root, path)!, ...ends(path)])
      for (const ref of [this.#base, this.#head]) if (await this.#has(name, ref)) return name
    return undefined
  }

  /** Whether the repository has a file, a folder or a link there. */
  async #has(name: string, ref: string): Promise<boolean> {
    const { files, links, all } = await this.#list(ref)
    if (!all) return (await kindAt(this.#api, this.#context, name, ref)) !== undefined
    return files.has(name) || links.has(name) || [...files.keys()].some(file => file.startsWith(`${name}/`))
  }

  /** Whether another checkout lies in the place of what the base branch has, in git or in DVC. */
  async #isCovered(path: string): Promise<boolean> {
    for (const name of await this.around(path))
      if (name !== '' && ((await this.#hasBase(name)) || (await this.#isOfDvc(path, name)))) return true
    // Or has been put there by another workflow than the base branch's.
    if (await this.#isAtTop(path)) return false
    if ((await workflowOnBase(this.#context)).state !== 'other') return false
    const own = await checkoutAt(path)
    const reached = (await this.#isForeign(own)) ? undefined : pathWithin(own, path)
    for (const name of ends(path))
      if (name !== reached && ((await this.#hasBase(name)) || (await this.#isOfDvc(path, name)))) return true
    return false
  }

  /** Whether the workspace is this repository's checkout, and what a file lies in. */
  async #isAtTop(path: string): Promise<boolean> {
    const own = await checkoutAt(path)
    return own === workspaceOf() && (await isCheckout(own)) && !(await this.#isForeign(own))
  }

  async #hasBase(name: string): Promise<boolean> {
    return (await kindAt(this.#api, this.#context, name, this.#base)) !== undefined
  }

  /**
   * The paths in the repository that a file has by the checkouts around its own, and the workspace, the outermost first; where its own is
   * another repository's, the workspace's among them.
   */
  async around(path: string): Promise<string[]> {
    const root = workspaceOf()
    let at = await checkoutAt(path)
    const folders = new Set((await this.#isForeign(at)) ? [root] : [])
    while (at !== root) {
      at = await checkoutOf(at, root)
      if (at === root || ((await isCheckout(at)) && !(await this.#isForeign(at)))) folders.add(at)
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
    return isTold && (await workflowOnBase(this.#context)).state !== 'other' ? [] : ends(path)
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
      if (!(await this.#isForeign(checkout))) {
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
    const [base, head] = [await this.#list(this.#base), await this.#list(this.#head)]
    const isGit = await isCheckout(checkout)
    const own = pathWithin(checkout, link)!
    const names = isGit ? [own] : [own, ...ends(link)]
    const name = names.find(name => base.links.has(name) || head.links.has(name)) ?? own
    const whole = pathWithin(checkout, at)!.slice(own.length - name.length)
    const isTrackedHere = isGit && (await isTracked(checkout, link))
    const isLinkOfHead = head.all
      ? head.links.has(name)
      : (await kindAt(this.#api, this.#context, name, this.#head)) === 'symlink'
    const isThere = base.files.has(whole) || [...base.files.keys()].some(file => file.startsWith(`${whole}/`))
    // DVC may put links to its cache in the place of what it keeps, which git does not have.
    if (isThere || (!isTrackedHere && !isLinkOfHead && (await this.#isOfDvc(at, whole)))) return 'kept'
    const isBase = base.links.get(name) === blobId(Buffer.from(await readlink(link)))
    const isStep = base.all && head.all && !base.links.has(name) && !head.links.has(name) && !isTrackedHere
    const commit = isTrackedHere ? await this.#otherThanJudged(checkout) : undefined
    const isChosen = commit !== undefined && (await this.#wasChosen(commit)) && (await isAsCommitted(checkout, link))
    if (isBase || isStep || isChosen) return 'followed'
    return `it is reached through the link ${name}, which is not known to be that branch's`
  }

  /** @param inRepository the path of the file in the repository; `path`: the same, where it was checked out */
  async #of(path: string, inRepository: string): Promise<Origin> {
    const ref = this.#base
    const base = await this.#at(inRepository, ref)
    if (!base) return this.#ofUnknown(path, inRepository)
    if (await isBlob(path, base)) return { whose: 'base' }
    const commit = await this.#otherCommit(path)
    if (commit !== undefined) return this.#ofCommit(path, commit)
    const edited = await this.#ofEdited(path, inRepository, base)
    if (base.size > MOST_POINTER) return edited
    const pointer = await readAt(this.#api, this.#context, { path: inRepository, ref, most: MOST_POINTER })
    const stored = lfsObject(pointer!)
    if (stored === undefined) return edited
    if ((await hashOfFile(path, 'sha256')) === stored) return { whose: 'base' }
    if (edited.whose === 'step') return edited
    return unknown('it is kept in Git LFS, and what was checked out is another file')
  }

  /** Of a file that is not the base branch's of a path, which only a guess may say that it has. */
  async #ofEdited(path: string, inRepository: string, base: FileAt): Promise<Origin> {
    const edited = { whose: 'edited', inRepository } as const
    if (pathWithin(await checkoutAt(path), path) === inRepository) return edited
    const head = await this.#at(inRepository, this.#head)
    if (head?.sha === base.sha) return { whose: 'step' }
    return head && (await isBlob(path, head)) ? edited : unknown(`this change edits ${inRepository}`)
  }

  /** The files below a folder of the base branch, by their paths in the repository. */
  async #below(folder: string): Promise<string[]> {
    const { files, links, all } = await this.#list(this.#base)
    const own = [...files.keys(), ...links.keys()].filter(name => folder === '' || name.startsWith(`${folder}/`))
    if (all) return own
    const names = await namesAt(this.#api, this.#context, folder, this.#base)
    return [...new Set([...own, ...names.map(name => posix.join(folder, name))])]
  }

  /** One request a file, unless all of them have been listed. */
  async #at(inRepository: string, ref: string): Promise<FileAt | undefined> {
    const listing = this.#listings.get(ref)
    return listing?.all ? listing.files.get(inRepository) : statAt(this.#api, this.#context, inRepository, ref)
  }

  async #list(ref: string): Promise<Listing> {
    const listing = this.#listings.get(ref) ?? (await filesAt(this.#api, this.#context, ref))
    this.#listings.set(ref, listing)
    return listing
  }

  /**
   * What it is that the base branch has in the way of a path where it has no file: a link or a submodule, which the change has put a folder
   * in the place of.
   */
  async inTheWay(inRepository: string): Promise<string | undefined> {
    const { links, all } = await this.#list(this.#base)
    for (const name of waysTo(inRepository)) {
      const kind = all ? undefined : await kindAt(this.#api, this.#context, name, this.#base)
      if (links.has(name) || kind === 'symlink' || kind === 'submodule') return name
    }
    return undefined
  }

  /** Of a file that the base branch does not have in git. */
  async #ofUnknown(path: string, inRepository: string): Promise<Origin> {
    const link = await this.inTheWay(inRepository)
    if (link !== undefined) return unknown(`that branch has a link or a submodule at ${link}`)
    const commit = await this.#otherCommit(path)
    if (commit !== undefined && (await isTracked(await checkoutAt(path), located(path))))
      return this.#ofCommit(path, commit)
    const isChosen = commit !== undefined && (await this.#wasChosen(commit))
    const dvc = await this.#dvcOf(path, inRepository, isChosen ? commit : undefined)
    const said = await dvc.ask(inRepository, () => hashOfFile(path, 'md5'))
    if (said.kind === 'same') return { whose: 'base' }
    if (said.kind === 'other') return unknown(said.reason)
    const isOfHead = said.kind === 'brought' || (await this.#isOfHead(path, inRepository))
    if (isOfHead && said.kind === 'untold' && said.by !== undefined)
      return unknown(`this change brings a file that ${said.by} of that branch has in a folder`)
    if (!isOfHead && (await isTracked(await checkoutAt(path), located(path))))
      return unknown('git has it in its checkout, and it is of neither side')
    if (isOfHead) return { whose: 'head' }
    // Archives may have other bytes than git: what is there without git is not known by them.
    const isBare = !(await isCheckout(await checkoutAt(path)))
    if (!isBare || !(await this.#isBrought(inRepository))) return { whose: 'step' }
    return unknown(`this change brings a file at ${inRepository}, and there is no git here`)
  }

  async #isOfDvc(path: string, inRepository: string): Promise<boolean> {
    const said = await (await this.#dvcOf(path, inRepository)).ask(inRepository)
    return said.kind !== 'untold' || said.by !== undefined
  }

  /** @param commit that the checkout is of, and may be; undefined where it is of what is judged */
  async #dvcOf(path: string, inRepository: string, commit?: string): Promise<Dvc> {
    const root = resolve(path, ...inRepository.split('/').map(() => '..'))
    const key = `${commit ?? ''} ${root}`
    const dvc = this.#dvc.get(key) ?? new Dvc(this.#api, this.#context, { ...(await this.#sides(path, commit)), root })
    this.#dvc.set(key, dvc)
    return dvc
  }

  async #sides(path: string, commit?: string) {
    const checkouts = [await checkoutAt(path)]
    const [base, head] = commit === undefined ? [this.#base, this.#head] : [commit, commit]
    return { base, head, checkouts, listed: { base: () => this.#list(base), head: () => this.#list(head) } }
  }

  /** Whether the base branch alone has moved on with a file: what would be merged has its. */
  async #isMoved(name: string, id: string | undefined): Promise<boolean> {
    if (this.#merge === this.#head) return false
    const merged = await statAt(this.#api, this.#context, name, this.#merge).catch(() => ({ sha: '' }))
    return merged?.sha === id
  }

  /** Whether the file that lies there is one that the change brings. */
  async #isOfHead(path: string, inRepository: string): Promise<boolean> {
    const found = await this.#at(inRepository, this.#head)
    if (!found) return false
    const isIt = (await isBlob(path, found)) || (await isAsCommitted(await checkoutAt(path), located(path)))
    return isIt && (await this.#isBrought(inRepository))
  }

  /** Whether the judged commit has a file, and what would be merged still has: what the base branch has removed since, it does not bring. */
  async #isBrought(inRepository: string): Promise<boolean> {
    const found = await this.#at(inRepository, this.#head)
    if (!found || this.#merge === this.#head) return found !== undefined
    const merged = await statAt(this.#api, this.#context, inRepository, this.#merge).catch(() => found)
    return merged !== undefined
  }

  /** Of a file that git has in a checkout of another commit than what is judged: one of the base branch, which its workflow chose. */
  async #ofCommit(path: string, commit: string): Promise<Origin> {
    if ((await this.#wasChosen(commit)) && (await isAsCommitted(await checkoutAt(path), located(path))))
      return { whose: 'base' }
    return unknown(
      `it is of the commit ${commit}, which is not known to be the one that branch compares with, or was changed`,
    )
  }

  #wasChosen(commit: string): Promise<boolean> {
    const chosen = this.#chosen.get(commit) ?? this.#isChosen(commit)
    this.#chosen.set(commit, chosen)
    return chosen
  }

  async #isChosen(commit: string): Promise<boolean> {
    const { pullRequest, mergeGroup, defaultBranch } = this.#context
    const branches = [baseBranch(this.#context), ...(defaultBranch ? [defaultBranch] : [])]
    const isOn = (branch: string) => isOnBranch(this.#api, this.#context, commit, branch)
    if (!(await isOn(branches[0])) && !(branches.length > 1 && (await isOn(branches[1])))) return false
    const isBase = [pullRequest?.baseSha, mergeGroup?.baseSha].includes(commit)
    return isBase || (await workflowOnBase(this.#context)).state !== 'other'
  }

  /** Whether a checkout is another repository's. */
  #isForeign(checkout: string): Promise<boolean> {
    const asked = this.#foreign.get(checkout) ?? isOfAnother(checkout, this.#context)
    this.#foreign.set(checkout, asked)
    return asked
  }

  /** The commit that a file is of, where it lies in a checkout of its own of another than what is judged. */
  async #otherCommit(path: string): Promise<string | undefined> {
    return this.#otherThanJudged(await checkoutAt(path))
  }

  async #otherThanJudged(checkout: string): Promise<string | undefined> {
    const { sha } = (checkout !== workspaceOf() && (await readHead(checkout))) || {}
    return sha === this.#head || sha === this.#merge ? undefined : sha
  }
}

/** Which files of the repository may be read with the checkpoint at a path of it. */
function partOf(inRepository: string, names: readonly string[]): (name: string) => boolean {
  const within = names.filter(name => name.startsWith(`${inRepository}/`))
  const folder = posix.dirname(inRepository) === '.' ? '' : `${posix.dirname(inRepository)}/`
  const isIndex = isShardIndex(inRepository)
  // What a graph, or an index, names beside itself or below, it does not say here.
  const isGraph = [inRepository, ...within].some(name => name.endsWith('.onnx'))
  const isBeside = (name: string) =>
    posix.dirname(name) === posix.dirname(inRepository) && SIDECARS.includes(posix.basename(name))
  return name =>
    name === inRepository ||
    ((isGraph || !UNREAD.test(name)) &&
      (name.startsWith(`${inRepository}/`) ||
        (within.length === 0 && (isIndex || isGraph ? name.startsWith(folder) : isBeside(name)))))
}

/** The ends of a path of the workspace, the longest first. */
function ends(path: string): string[] {
  const parts = (pathWithin(workspaceOf(), path) ?? '').split('/')
  return parts.slice(1, MOST_LINKS).map((_, i) => parts.slice(i + 1).join('/'))
}

/** A path of the repository, and the folders on the way to it. */
function waysTo(inRepository: string): string[] {
  const parts = inRepository.split('/')
  return parts.map((_, i) => parts.slice(0, i + 1).join('/'))
}

/** A file that is read with others, by its path in the repository where it has one. */
interface Read {
  readonly name: string
  readonly origin: Origin
}

function unknown(reason: string): Unknown {
  return { whose: 'unknown', reason }
}

/** Why files may be others than the base branch's or a step's. */
function whyOther(read: readonly Read[]): Origin | undefined {
  const other = read.find(({ origin }) => origin.whose !== 'base' && origin.whose !== 'step')
  if (!other) return undefined
  const { name, origin } = other
  return unknown(
    `${name}, which is read with it, ${origin.whose === 'unknown' ? `is not known: ${origin.reason}` : "is not that branch's"}`,
  )
}

const SUBMODULE = 'it lies in a submodule, which the change may have moved'
const COVERED = 'another checkout lies in its place'
/** What no reader reads, and no graph keeps its values in. */
const UNREAD =
  /(?:^|\/)(?:\.git\w*|LICENSE|NOTICE|trainer_state\.json|events\.out\.tfevents[^/]*)$|\.(?:md|txt|log|py|ipynb|png|jpe?g|svg|pdf|csv)$/i
/** Bytes of a pointer of Git LFS. */
const MOST_POINTER = 1024
/** As Linux has it. */
const MOST_LINKS = 40

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false
}

/** The checkout that a file lies in; of a folder, that of what it holds. */
async function checkoutAt(path: string): Promise<string> {
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

/** Whether a file has the content of one of the repository, but for the line ends that git may give to text. */
async function isBlob(path: string, { sha, size }: FileAt): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return false
  if (found.size === size) return (await hashOfFile(path, hashOf(sha), `blob ${size}\0`)) === sha
  if (found.size < size || !path.endsWith('.json')) return false
  const text = await readSmallFile(path, limits.checkpoint.configBytes).catch(() => undefined)
  return text !== undefined && blobId(Buffer.from(text.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')) === sha
}

function hashOf(id: string): 'sha1' | 'sha256' {
  return id.length === 64 ? 'sha256' : 'sha1'
}

/** The hash of a file's content, in hexadecimal digits; empty where there is no file. */
async function hashOfFile(path: string, algorithm: 'md5' | 'sha1' | 'sha256', before = ''): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return ''
  const hash = createHash(algorithm).update(before)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
