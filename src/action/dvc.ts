import { join, posix } from 'node:path'
import { exists } from '../bytes/file.ts'
import { readSmallFile } from '../bytes/small-file.ts'
import { hasKey, parseYaml, tooMuchYaml } from '../bytes/yaml.ts'
import type { Api } from '../github/api.ts'
import type { Context } from '../github/context.ts'
import { blobId, type Listing, readAt, UnreadableError } from '../github/repository.ts'
import { limits } from '../limits.ts'
import { printable } from '../render/escape.ts'

/** What the base branch's files of DVC say of a file that lies here. */
export type ByDvc =
  /** Nothing that would tell it from another, and the head's say the same; `by` what has it in a folder, where something has. */
  | { readonly kind: 'untold'; readonly by: string | undefined }
  /** It is the one that they name. */
  | { readonly kind: 'same' }
  /** Nothing; the head has brought a file that names this very content. */
  | { readonly kind: 'brought' }
  /** It is another, or may be. */
  | { readonly kind: 'other'; readonly reason: string }

/** Whether files of DVC say something of it. */
export function isKept(said: ByDvc): boolean {
  return said.kind !== 'untold' || said.by !== undefined
}

/** What a file of DVC says of a file, or of a folder that this lies in. */
interface Output {
  readonly by: string
  readonly text: string
  /** Of the file itself, in hexadecimal digits; undefined for a folder, and for what DVC does not know by its content. */
  readonly md5?: string | undefined
  /** Whether it is known to be of the file, not of one whose path ends alike. */
  readonly isSure?: boolean
  readonly isFolder?: boolean
  /** Whether it may be of any file, for all that is known. */
  readonly isAny?: boolean
}

interface Sides {
  /** The folder of the checkout; undefined where the judged commit is asked in its place. */
  readonly root: string | undefined
  /** Folders in which files of the repository may lie. */
  readonly checkouts: readonly string[]
  /** The judged commit. */
  readonly head: string
  /** The base branch, as a ref. */
  readonly base: string
  /** The files of the repository, on the base branch and at the commit that is judged. */
  readonly listed: Record<'base' | 'head', () => Promise<Listing>>
}

type Mapping = Record<string, unknown>
type Texts = Map<string, string>

/**
 * What DVC says of files that git does not have, on the base branch and in a checkout. It knows content by its MD5, in a `NAME.dvc` or,
 * for what a pipeline makes, in the `dvc.lock` beside a `dvc.yaml`; paths in either are relative to the `wdir` that is set there.
 */
export class Dvc {
  readonly #api: Api
  readonly #context: Context
  readonly #of: Sides
  readonly #before: Texts = new Map()
  readonly #after: Texts = new Map()
  readonly #parsed = new Map<string, Promise<Mapping | undefined>>()
  #listing: Promise<{ readonly all: boolean }> | undefined
  #bytes = 0

  constructor(api: Api, context: Context, of: Sides) {
    this.#api = api
    this.#context = context
    this.#of = of
  }

  /**
   * Whether a file is the one that DVC keeps for the base branch.
   * @param file its path in the repository
   * @param md5 of the file that lies there; undefined where none needs to, and only what names it, or what is in it, counts
   * @throws UnreadableError where there is more of DVC's files than can be read; GitHub's errors pass through
   */
  async ask(file: string, md5?: () => Promise<string>): Promise<ByDvc> {
    this.#listing ??= this.#readAll()
    const { all } = await this.#listing
    // Of a repository that is too large to be listed, those at the places where DVC puts them.
    if (!all) for (const name of placesFor(file)) await this.#read(name, '', '')
    const known = await this.#outputs(this.#before, file, !md5)
    const proposed = await this.#outputs(this.#after, file, !md5)
    const named = known.filter(output => output.md5 !== undefined)
    if (md5 && named.length > 0) {
      const digest = await md5()
      // Where it is known which output it is, others whose paths end alike are of other files.
      const sure = named.filter(({ isSure }) => isSure)
      const likely = sure.length > 0 ? sure : named
      const isNamed = likely.some(output => output.md5 === digest)
      if (isNamed && new Set(likely.map(output => output.md5)).size === 1) return { kind: 'same' }
      const { by } = likely[0]
      if (isNamed)
        return { kind: 'other', reason: `it is kept by DVC, and which output of ${printable(by)} it is is not known` }
      const reason = `it is kept by DVC, and what lies there is not what ${printable(by)} of that branch names`
      if (sure.length > 0) return { kind: 'other', reason }
    }
    const added = notAmong(known, proposed)
    // What a folder holds that the head brings is not known by its content, and of nobody else.
    if (added && known.length === 0 && (added.isFolder || (added.md5 !== undefined && added.md5 === (await md5?.()))))
      return { kind: 'brought' }
    const edited = (notAmong(proposed, known) ?? added)?.by
    if (edited !== undefined)
      return { kind: 'other', reason: `this change edits ${printable(edited)}, which names its content` }
    const own = known.find(({ isAny }) => !isAny)
    if (!own) return { kind: 'untold', by: undefined }
    // What another remote has under the same MD5, DVC takes for it.
    const names = new Set([...this.#before.keys(), ...this.#after.keys()])
    const config = [...names].find(name => isConfig(name) && this.#before.get(name) !== this.#after.get(name))
    if (config === undefined) return { kind: 'untold', by: printable(own.by) }
    return { kind: 'other', reason: `this change edits ${printable(config)}, which says where its content comes from` }
  }

  async #readAll(): Promise<{ readonly all: boolean }> {
    const listings = await Promise.all([this.#of.listed.base(), this.#of.listed.head()])
    const names = listings.flatMap(({ files, links }) => [...files.keys(), ...links.keys()])
    const idIn = ({ files, links, all }: Listing, name: string) =>
      files.get(name)?.sha ?? (links.has(name) || !all ? '' : undefined)
    for (const name of new Set(names.filter(isOfDvc))) {
      const [base, head] = listings.map(listing => idIn(listing, name))
      await this.#read(name, base, head)
    }
    return { all: listings.every(({ all }) => all) }
  }

  /** @param base id of the base branch's; undefined where it has none, empty where that is not known; `head`: of the judged commit's */
  async #read(name: string, base: string | undefined, head: string | undefined): Promise<void> {
    if (this.#before.has(name) || this.#after.has(name)) return
    const { root } = this.#of
    const own = root === undefined ? await this.#at(name, this.#of.head, head) : await ownAt(join(root, name))
    if (own) this.#put(this.#after, name, own)
    const content = own && blobId(own) === base ? own : await this.#at(name, this.#of.base, base)
    if (content) this.#put(this.#before, name, content)
  }

  /** A file of the repository, which a checkout may have as well. */
  async #at(path: string, ref: string, id: string | undefined): Promise<Buffer | undefined> {
    if (id === undefined) return undefined
    const most = limits.dvc.fileBytes
    for (const folder of id === '' ? [] : this.#of.checkouts) {
      const found = await readSmallFile(join(folder, path), most).catch(() => undefined)
      if (found && blobId(found) === id) return found
    }
    return readAt(this.#api, this.#context, { path, ref, most })
  }

  #put(texts: Texts, name: string, content: Buffer): void {
    this.#bytes += content.length
    if (texts.size >= limits.dvc.filesCount || this.#bytes > limits.dvc.bytes)
      throw new UnreadableError('DVC has more files in the repository than are read')
    texts.set(name, content.toString('utf8'))
  }

  /** What files of DVC say of a file; what one that can't be read says may be of it. */
  async #outputs(texts: Texts, file: string, within: boolean): Promise<Output[]> {
    const found: Output[] = []
    const add = (by: string, outputs: readonly Omit<Output, 'by'>[]) => {
      for (const output of outputs) found.push({ by, ...output })
    }
    for (const [by, text] of texts) {
      if (by.endsWith('dvc.yaml') || isConfig(by)) continue
      const folder = posix.dirname(by)
      const said = await this.#parse(text)
      if (said === undefined) found.push({ by, text, isAny: true })
      else if (by.endsWith('dvc.lock')) {
        const pipeline = await this.#parse(texts.get(posix.join(folder, 'dvc.yaml')) ?? '')
        for (const [name, stage] of Object.entries(asMapping(said.stages) ?? said)) {
          const { declared, wdir } = declaredIn(pipeline, name)
          add(by, covering(asMapping(stage), { file, folder, wdir, within, from: [declared, pipeline?.vars] }))
        }
      } else add(by, covering(said, { file, folder, wdir: said.wdir ?? '.', within, from: said }))
    }
    return found
  }

  #parse(text: string): Promise<Mapping | undefined> {
    if (!this.#parsed.has(text)) this.#parsed.set(text, parse(text))
    return this.#parsed.get(text)!
  }
}

/** What lies in a checkout. What is there and can't be read may say anything. */
async function ownAt(path: string): Promise<Buffer | undefined> {
  const found = readSmallFile(path, limits.dvc.fileBytes)
  return found.catch(async () => ((await exists(path)) ? Buffer.alloc(0) : undefined))
}

function isOfDvc(name: string): boolean {
  return /(?:^|\/)dvc\.(?:lock|yaml)$|[^/]\.dvc$/.test(name) || isConfig(name)
}

function isConfig(name: string): boolean {
  return /(?:^|\/)(?:\.dvc\/config(?:\.local)?|\.dvcignore)$/.test(name)
}

/** The first of some that others lack. */
function notAmong(others: readonly Output[], some: readonly Output[]): Output | undefined {
  return some.find(({ by, text }) => !others.some(other => other.by === by && other.text === text))
}

/** Where DVC keeps what it says of a file: beside it, or beside or in a folder that it lies in. */
function placesFor(file: string): string[] {
  const folder = posix.dirname(file)
  const inFolder = ['dvc.lock', 'dvc.yaml'].map(name => posix.join(folder, name))
  return [`${file}.dvc`, ...inFolder, ...(folder === '.' ? ['.dvc/config'] : placesFor(folder))]
}

/** The outputs of a stage as the pipeline has them, and what they are relative to; undefined where that is not said. */
function declaredIn(pipeline: Mapping | undefined, name: string): { declared: unknown; wdir: unknown } {
  const stages = asMapping(pipeline?.stages)
  // One of several that are made from a template is called `NAME@ITEM`.
  const [template, ...item] = name.split('@')
  const stage = asMapping(stages?.[name] ?? stages?.[template])
  const own = stage && (asMapping(stage.do) ?? stage)
  const wdir = own && (own.wdir ?? '.')
  const filled = typeof wdir === 'string' ? wdir.replace(/\$\{ ?(?:item|key) ?\}/g, () => item.join('@')) : wdir
  return { declared: own?.outs, wdir: filled }
}

interface Asked {
  readonly file: string
  /** That of the file of DVC. */
  readonly folder: string
  readonly wdir: unknown
  /** Whether what lies in it counts, too. */
  readonly within: boolean
  /** What else says where the content comes from: an import, a remote. */
  readonly from: unknown
}

/** Those outputs of a stage that are the file or a folder that it lies in. */
function covering(stage: Mapping | undefined, { file, folder, wdir, within, from }: Asked): Omit<Output, 'by'>[] {
  const outs = Array.isArray(stage?.outs) ? stage.outs.map(asMapping) : []
  return outs.flatMap((out): Omit<Output, 'by'>[] => {
    if (typeof out?.path !== 'string') return []
    const known = typeof wdir === 'string' && !wdir.includes('$')
    // From the root of the machine, or from outside of the repository, it may be any file.
    const isAway = [out.path, wdir].some(path => typeof path === 'string' && posix.isAbsolute(path))
    if (isAway || (known && posix.join(folder, wdir, out.path).startsWith('../')))
      return [{ text: JSON.stringify([out, from]), isAny: true }]
    // Where it is not known what the path is relative to, that may be any folder.
    const place = asFolder(known ? posix.join(folder, wdir, out.path) : out.path)
    const covers = known ? asFolder(file).startsWith(place) : asFolder(file).includes(place)
    if (!covers && !(within && known && place.startsWith(asFolder(file)))) return []
    const md5 = asFolder(file).endsWith(place) && typeof out.md5 === 'string' && !out.md5.endsWith('.dir')
    const isFolder = known && typeof out.md5 === 'string' && out.md5.endsWith('.dir')
    return [
      { text: JSON.stringify([place, out, from]), isSure: known, isFolder, ...(md5 && { md5: out.md5 as string }) },
    ]
  })
}

/** A path with a slash on either side, that its components can be compared; what leads up and out is left out. */
function asFolder(path: string): string {
  return posix.join('/', posix.normalize(path).replace(/^(?:\.\.\/)+/, ''), '/')
}

/** What a text of YAML says; undefined where it can't be read, is no mapping, or merges mappings (`<<`), as DVC's parser does. */
async function parse(text: string): Promise<Mapping | undefined> {
  if (tooMuchYaml(text, { marks: limits.checkpoint.configMarks, depth: limits.config.nestingLevels })) return undefined
  return parseYaml(text, false)
    .then(async document =>
      (await hasKey(document, '<<')) ? undefined : asMapping(document.toJS({ maxAliasCount: 0 })),
    )
    .catch(() => undefined)
}

function asMapping(value: unknown): Mapping | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : undefined
}
