import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { lfsObject } from '../checkpoint/pointer.ts'
import type { Api } from '../github/api.ts'
import { isAsCommitted } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { type FileAt, filesAt, type Listing, namesAt, readAt, statAt } from '../github/repository.ts'
import { checkoutOf } from './checkout.ts'
import { Dvc } from './dvc.ts'
import { baseRef, workspaceOf } from './rules.ts'

/**
 * Whose a file is that lies here: of the base branch, by git, Git LFS or DVC; the judged change's, which brings it; another than the base
 * branch's of this path, `edited`, where that is in git and can be had, `unknown` where not; or what a step has made.
 */
export type Origin =
  | { readonly whose: 'base' | 'head' | 'edited' | 'step' }
  | { readonly whose: 'unknown'; readonly reason: string }

/** Tells whose files are, where a change is judged. GitHub's errors pass through, and UnreadableError. */
export class Origins {
  readonly #api: Api
  readonly #context: Context
  readonly #base: string
  readonly #head: string
  /** By the folder of the checkout. */
  readonly #dvc = new Map<string, Dvc>()
  readonly #listings = new Map<string, Listing>()

  constructor(api: Api, context: Context) {
    this.#api = api
    this.#context = context
    this.#base = baseRef(context)
    this.#head = context.pullRequest?.headSha ?? context.mergeGroup!.headSha
  }

  /** @param inRepository the path of the file in the repository; `path`: the same, where it was checked out */
  async of(path: string, inRepository: string): Promise<Origin> {
    const ref = this.#base
    const base = await this.#at(inRepository, ref)
    if (!base) return this.#ofUnknown(path, inRepository)
    if ((await idOf(path, base.sha)) === base.sha) return { whose: 'base' }
    if (base.size > MOST_POINTER) return { whose: 'edited' }
    const pointer = await readAt(this.#api, this.#context, { path: inRepository, ref, most: MOST_POINTER })
    const stored = lfsObject(pointer!)
    if (stored === undefined) return { whose: 'edited' }
    if ((await hashOfFile(path, 'sha256')) === stored) return { whose: 'base' }
    return { whose: 'unknown', reason: 'it is kept in Git LFS, and what was checked out is another file' }
  }

  /** The files below a folder of the base branch, by their paths in the repository. */
  async below(folder: string): Promise<string[]> {
    const { files, all } = await this.#list(this.#base)
    const own = [...files.keys()].filter(name => name.startsWith(`${folder}/`))
    if (all) return own
    const names = await namesAt(this.#api, this.#context, folder, this.#base)
    return [...new Set([...own, ...names.map(name => `${folder}/${name}`)])]
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

  /** Of a file that the base branch does not have in git. */
  async #ofUnknown(path: string, inRepository: string): Promise<Origin> {
    const root = resolve(path, ...inRepository.split('/').map(() => '..'))
    const listed = { base: () => this.#list(this.#base), head: () => this.#list(this.#head) }
    const dvc = this.#dvc.get(root) ?? new Dvc(this.#api, this.#context, { root, base: this.#base, listed })
    this.#dvc.set(root, dvc)
    const said = await dvc.ask(inRepository, () => hashOfFile(path, 'md5'))
    if (said.kind === 'same') return { whose: 'base' }
    if (said.kind === 'other') return { whose: 'unknown', reason: said.reason }
    const isOfHead = said.kind === 'brought' || (await this.#isOfHead(path, inRepository))
    if (isOfHead && said.kind === 'untold' && said.by !== undefined)
      return { whose: 'unknown', reason: `this change brings a file that ${said.by} of that branch has in a folder` }
    return { whose: isOfHead ? 'head' : 'step' }
  }

  /** Whether the file that lies there is one of the judged commit. */
  async #isOfHead(path: string, inRepository: string): Promise<boolean> {
    const found = await this.#at(inRepository, this.#head)
    if (!found) return false
    if ((await idOf(path, found.sha)) === found.sha) return true
    return isAsCommitted(await checkoutOf(path, workspaceOf()), resolve(path))
  }
}

/** Bytes of a pointer of Git LFS. */
const MOST_POINTER = 1024

/** The id that git gives to the content of a file, by the hash that the other id is of; empty where there is no file. */
async function idOf(path: string, like: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return ''
  return hashOfFile(path, like.length === 64 ? 'sha256' : 'sha1', `blob ${found.size}\0`)
}

/** The hash of a file's content, in hexadecimal digits; empty where there is no file. */
async function hashOfFile(path: string, algorithm: 'md5' | 'sha1' | 'sha256', before = ''): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) return ''
  const hash = createHash(algorithm).update(before)
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
