import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, join, posix, resolve } from 'node:path'
import { exists } from '../bytes/file.ts'
import { readSmallFile } from '../bytes/small-file.ts'
import { located } from '../bytes/workspace.ts'
import { readAttention } from '../checkpoint/attention.ts'
import { isLookedAt } from '../checkpoint/folder.ts'
import { openCheckpoint } from '../checkpoint/index.ts'
import { TRAINER_STATE } from '../checkpoint/moment.ts'
import { lfsObject, POINTER_BYTES } from '../checkpoint/pointer.ts'
import { SIDECARS } from '../checkpoint/quantised/family.ts'
import type { ReadOptions } from '../checkpoint/reader.ts'
import { isShardIndex } from '../checkpoint/shards.ts'
import { CheckpointError } from '../errors.ts'
import type { Api } from '../github/api.ts'
import type { Context } from '../github/context.ts'
import { isAsCommitted, isTracked } from '../github/git.ts'
import { blobId, type FileAt, type Listing, readAt } from '../github/repository.ts'
import { limits } from '../limits.ts'
import { isCheckout, pathWithin } from './checkout.ts'
import { Dvc, isKept } from './dvc.ts'
import { checkoutAt, ends, isFolder, type Place, Places, waysTo } from './places.ts'
import { Sides } from './sides.ts'

/**
 * Whose a file is that lies here: of the base branch, by git, Git LFS or DVC; the judged change's, which brings it; another than the base
 * branch's of this path, `edited`, where that is in git and can be had, `unknown` where not; or what a step has made.
 */
export type Origin =
  | { readonly whose: 'base' | 'head' | 'step' }
  | { readonly whose: 'edited'; readonly inRepository: string }
  | Unknown

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
  readonly #sides: Sides
  readonly #places: Places

  constructor(api: Api, context: Context) {
    this.#sides = new Sides(api, context)
    this.#places = new Places(this.#sides)
  }

  /**
   * Whose a checkpoint is: a file or a folder, with all that is read of it or beside it. A folder whose files are the base branch's or a
   * step's is a step's.
   * @param options those that it will be read with
   */
  async ofCheckpoint(path: string, options: Reading): Promise<Origin> {
    const place = await this.#places.place(path)
    if (place.kind === 'unknown') return unknown(place.reason)
    if (await this.#places.isCovered(place.path)) return unknown(COVERED)
    if (place.kind === 'outside') return { whose: 'step' }
    if (!(await isFolder(path))) return this.#ofFile(path, place, options)
    // Of another commit each file is held against that.
    const isAlone = (await this.#places.otherCommit(path)) !== undefined
    const before = isAlone ? [] : (await this.#sides.below(place.inRepository)).filter(isLookedAt)
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
    const place = await this.#places.place(path)
    if (place.kind === 'unknown') return unknown(place.reason)
    if (await this.#places.isCovered(place.path)) return unknown(COVERED)
    if (place.kind === 'outside') return { whose: 'step' }
    const [base, head] = [await this.#sides.list(this.#sides.base), await this.#sides.list(this.#sides.head)]
    if (!base.all || !head.all) return unknown('the repository has too many files for all to be listed')
    const { inRepository } = place
    // A job without the checkpoint may have its checkouts elsewhere, too.
    const { api, context } = this.#sides
    const dvc = new Dvc(api, context, { ...(await this.#places.dvcSides(path)), root: undefined })
    for (const name of new Set([inRepository, ...ends(place.path)])) {
      const said = await dvc.ask(name)
      const isOfBase = isKept(said) || (await this.#sides.has(name, this.#sides.base))
      if (name !== inRepository && !isOfBase) continue
      const origin = await this.#ofPath(name, { base, head })
      if (origin.whose !== 'step') return origin
      if (said.kind === 'other') return unknown(said.reason)
    }
    return { whose: 'step' }
  }

  /**
   * A file of a checkpoint, or one that is read with it, that lies here as another commit has it, or not at all, though the judged change
   * edits or brings it: by git, Git LFS or DVC, and by its path in the repository; undefined where there is none.
   */
  async notOfChange(path: string): Promise<string | undefined> {
    const place = await this.#places.place(path)
    if (place.kind !== 'inside') return undefined
    const { inRepository } = place
    const root = resolve(place.path, ...inRepository.split('/').map(() => '..'))
    for (const name of await this.#readWith(path, root, inRepository)) {
      const file = join(root, name)
      const isHere = await exists(file)
      if (!isHere && name === inRepository) continue
      if (isHere ? await this.#isBeforeChange(file, name) : await this.#sides.brings(name)) return name
    }
    return undefined
  }

  /** Files that either side has, or that lie here, of which a checkpoint is read. */
  async #readWith(path: string, root: string, inRepository: string): Promise<Set<string>> {
    const listings = [await this.#sides.list(await this.#sides.begin()), await this.#sides.list(this.#sides.head)]
    const isWhole = await isFolder(path)
    const folder = isWhole ? inRepository : posix.dirname(inRepository)
    const isIn = (name: string) => posix.dirname(name) === folder || (isWhole && name.startsWith(`${folder}/`))
    const isBeside = (name: string) => SIDECARS.includes(posix.basename(name))
    const names = listings.flatMap(({ files }) => [...files.keys()])
    const known = names.filter(
      name => isIn(name) && (isWhole || isShardIndex(path) ? isLookedAt(name) : isBeside(name)),
    )
    // What a graph keeps in other files, it says itself.
    const opened = await openCheckpoint(path).catch(() => undefined)
    const read = (opened?.stamps ?? []).flatMap(stamp => pathWithin(root, resolve(stamp.path)) ?? [])
    return new Set([...(isWhole ? [] : [inRepository]), ...known, ...read])
  }

  async #isBeforeChange(path: string, inRepository: string): Promise<boolean> {
    const { head } = this.#sides
    const file = await this.#sides.at(inRepository, head)
    if (file && ((await isBlob(path, file)) || (await this.#isStored(path, inRepository, { file, ref: head }))))
      return false
    if (!(await this.#sides.edits(inRepository)) && !(await this.#editsInDvc(path, inRepository))) return false
    if (await isAsCommitted(await checkoutAt(path), path)) return true
    return (await this.#of(path, inRepository)).whose === 'base'
  }

  /** Whether a file is the one whose pointer of Git LFS the repository has; undefined where that is no pointer. */
  async #isStored(
    path: string,
    inRepository: string,
    { file, ref }: { readonly file: FileAt; readonly ref: string },
  ): Promise<boolean | undefined> {
    if (file.size > POINTER_BYTES) return undefined
    const { api, context } = this.#sides
    const stored = lfsObject((await readAt(api, context, { path: inRepository, ref, most: POINTER_BYTES }))!)
    return stored === undefined ? undefined : (await hashOfFile(path, 'sha256')) === stored
  }

  /** Whether the change names other content for what DVC keeps at a path. */
  async #editsInDvc(path: string, inRepository: string): Promise<boolean> {
    const sides = await this.#places.dvcSides(path)
    const base = await this.#sides.begin()
    const listed = { ...sides.listed, base: () => this.#sides.list(base) }
    const { api, context } = this.#sides
    return (await new Dvc(api, context, { ...sides, base, listed, root: undefined }).ask(inRepository)).kind === 'other'
  }

  /** Of what both sides have at a path, and beside it. */
  async #ofPath(inRepository: string, { base, head }: Record<'base' | 'head', Listing>): Promise<Origin> {
    const idIn = ({ files, links }: Listing, name: string) => files.get(name)?.sha ?? links.get(name)
    const all = [base, head].map(({ files, links }) => [...files.keys(), ...links.keys()])
    const isOfIt = partOf(inRepository, all.flat())
    const linked = waysTo(inRepository).find(name => base.links.has(name) || head.links.has(name))
    if (linked !== undefined) return unknown(`it is reached through the link ${linked}`)
    const isAtTop = !inRepository.includes('/')
    const isThere = (names: readonly string[]) => names.some(name => `${name}/`.startsWith(`${inRepository}/`))
    // What lies beside one that a step made matters in a folder of its own alone.
    const isBeside = !isAtTop || all.some(isThere)
    const [before, now] = all.map(names => (isBeside ? names.filter(isOfIt) : []))
    const inner = [...before, ...now].find(name => base.links.has(name) || head.links.has(name))
    if (inner !== undefined) return unknown(`it is reached through the link ${inner}`)
    if (before.length === 0 && now.length > 0) return { whose: 'head' }
    for (const name of new Set([...before, ...now]))
      if (idIn(base, name) !== idIn(head, name) && !(await this.#sides.isMoved(name, idIn(base, name))))
        return unknown(`this change edits ${name}`)
    return { whose: 'step' }
  }

  /** Whether there is, or may be, a file of the repository at a path, as either side has it. */
  async isOfRepository(path: string): Promise<boolean> {
    const place = await this.#places.place(path)
    if (place.kind !== 'inside') return place.kind === 'unknown'
    return (
      (await this.#sides.has(place.inRepository, this.#sides.base)) ||
      (await this.#sides.has(place.inRepository, this.#sides.head))
    )
  }

  async #ofFile(path: string, place: Place & { kind: 'inside' }, options: Reading): Promise<Origin> {
    const origin = await this.#of(place.path, place.inRepository)
    if (origin.whose === 'edited' && isShardIndex(place.inRepository)) return unknown('this change edits it')
    if (origin.whose !== 'base' && origin.whose !== 'step') return origin
    for (const name of SIDECARS) {
      const beside = posix.join(posix.dirname(place.inRepository), name)
      if (!(await exists(join(dirname(path), name))) && (await this.#sides.at(beside, this.#sides.base)))
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
      const place = await this.#places.place(file)
      const name = place.kind === 'inside' ? place.inRepository : file
      if ((await checkoutAt(file)) !== own) found.push({ name, origin: unknown(COVERED) })
      else if (place.kind === 'unknown') found.push({ name, origin: unknown(place.reason) })
      else if (place.kind === 'inside') found.push({ name, origin: await this.#of(place.path, place.inRepository) })
    }
    return found
  }

  /** @param inRepository the path of the file in the repository; `path`: the same, where it was checked out */
  async #of(path: string, inRepository: string): Promise<Origin> {
    const ref = this.#sides.base
    const base = await this.#sides.at(inRepository, ref)
    if (!base) return this.#ofUnknown(path, inRepository)
    if (await isBlob(path, base)) return { whose: 'base' }
    const commit = await this.#places.otherCommit(path)
    if (commit !== undefined) return this.#ofCommit(path, commit)
    const edited = await this.#ofEdited(path, inRepository, base)
    const isStored = await this.#isStored(path, inRepository, { file: base, ref })
    if (isStored) return { whose: 'base' }
    if (isStored === undefined || edited.whose === 'step') return edited
    return unknown('it is kept in Git LFS, and what was checked out is another file')
  }

  /** Of a file that is not the base branch's of a path, which only a guess may say that it has. */
  async #ofEdited(path: string, inRepository: string, base: FileAt): Promise<Origin> {
    const edited = { whose: 'edited', inRepository } as const
    if (pathWithin(await checkoutAt(path), path) === inRepository) return edited
    const head = await this.#sides.at(inRepository, this.#sides.head)
    if (head?.sha === base.sha) return { whose: 'step' }
    return head && (await isBlob(path, head)) ? edited : unknown(`this change edits ${inRepository}`)
  }

  /** Of a file that the base branch does not have in git. */
  async #ofUnknown(path: string, inRepository: string): Promise<Origin> {
    const link = await this.#places.inTheWay(inRepository)
    if (link !== undefined) return unknown(`that branch has a link or a submodule at ${link}`)
    const commit = await this.#places.otherCommit(path)
    if (commit !== undefined && (await isTracked(await checkoutAt(path), located(path))))
      return this.#ofCommit(path, commit)
    const isChosen = commit !== undefined && (await this.#sides.wasChosen(commit))
    const dvc = await this.#places.dvcOf(path, inRepository, isChosen ? commit : undefined)
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
    if (!isBare || !(await this.#sides.isBrought(inRepository))) return { whose: 'step' }
    return unknown(`this change brings a file at ${inRepository}, and there is no git here`)
  }

  /** Whether the file that lies there is one that the change brings. */
  async #isOfHead(path: string, inRepository: string): Promise<boolean> {
    const found = await this.#sides.at(inRepository, this.#sides.head)
    if (!found) return false
    const isIt = (await isBlob(path, found)) || (await isAsCommitted(await checkoutAt(path), located(path)))
    return isIt && (await this.#sides.isBrought(inRepository))
  }

  /** Of a file that git has in a checkout of another commit than what is judged: one of the base branch, which its workflow chose. */
  async #ofCommit(path: string, commit: string): Promise<Origin> {
    if ((await this.#sides.wasChosen(commit)) && (await isAsCommitted(await checkoutAt(path), located(path))))
      return { whose: 'base' }
    return unknown(
      `it is of the commit ${commit}, which is not known to be the one that branch compares with, or was changed`,
    )
  }
}

/** Which files of the repository may be read with the checkpoint at a path of it. */
function partOf(inRepository: string, names: readonly string[]): (name: string) => boolean {
  const within = names.filter(name => name.startsWith(`${inRepository}/`))
  const folder = posix.dirname(inRepository)
  const isIndex = isShardIndex(inRepository)
  // What a graph, or an index, names beside itself or below, it does not say here.
  const isGraph = [inRepository, ...within].some(name => name.endsWith('.onnx'))
  const isNear = (name: string) => (folder === '.' ? !name.includes('/') : name.startsWith(`${folder}/`))
  const isBeside = (name: string) => posix.dirname(name) === folder && SIDECARS.includes(posix.basename(name))
  return name =>
    name === inRepository ||
    ((isGraph || !UNREAD.test(name)) &&
      (name.startsWith(`${inRepository}/`) ||
        (within.length === 0 && (isIndex || isGraph ? isNear(name) : isBeside(name)))))
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

const COVERED = 'another checkout lies in its place'
/** What no reader reads, and no graph keeps its values in. */
const UNREAD =
  /(?:^|\/)(?:\.git\w*|LICENSE|NOTICE|trainer_state\.json|events\.out\.tfevents[^/]*)$|\.(?:md|txt|log|py|ipynb|png|jpe?g|svg|pdf|csv)$/i

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
