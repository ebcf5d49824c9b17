import { posix } from 'node:path'
import type { Api } from '../github/api.ts'
import { baseBranch, baseRef, judgedCommit, mergeBase, mergeCommit } from '../github/base-commit.ts'
import type { Context } from '../github/context.ts'
import { type FileAt, filesAt, isOnBranch, kindAt, type Listing, namesAt, statAt } from '../github/repository.ts'
import { workflowOnBase } from './workflow.ts'

/** What the repository has on either side of a judged change. GitHub's errors pass through, and UnreadableError. */
export class Sides {
  readonly api: Api
  readonly context: Context
  /** The base branch, as a ref. */
  readonly base: string
  /** The judged commit. */
  readonly head: string
  /** What would be merged, where that is known, and else the judged commit. */
  readonly merge: string
  readonly #listings = new Map<string, Listing>()
  #began: Promise<string> | undefined
  readonly #chosen = new Map<string, Promise<boolean>>()

  constructor(api: Api, context: Context) {
    this.api = api
    this.context = context
    this.base = baseRef(context)
    this.head = judgedCommit(context)
    this.merge = mergeCommit(context) ?? this.head
  }

  /** All files of the repository at a commit. */
  async list(ref: string): Promise<Listing> {
    const listing = this.#listings.get(ref) ?? (await filesAt(this.api, this.context, ref))
    this.#listings.set(ref, listing)
    return listing
  }

  /** One request a file, unless all of them have been listed. */
  async at(inRepository: string, ref: string): Promise<FileAt | undefined> {
    const listing = this.#listings.get(ref)
    return listing?.all ? listing.files.get(inRepository) : statAt(this.api, this.context, inRepository, ref)
  }

  /** Whether the repository has a file, a folder or a link there. */
  async has(name: string, ref: string): Promise<boolean> {
    const { files, links, all } = await this.list(ref)
    if (!all) return (await this.kind(name, ref)) !== undefined
    return [files, links].some(known => known.has(name) || [...known.keys()].some(one => one.startsWith(`${name}/`)))
  }

  /** What the repository has at a path, as GitHub calls it; undefined where it has nothing. */
  kind(name: string, ref: string): ReturnType<typeof kindAt> {
    return kindAt(this.api, this.context, name, ref)
  }

  /** The files below a folder of the base branch, by their paths in the repository. */
  async below(folder: string): Promise<string[]> {
    const { files, links, all } = await this.list(this.base)
    const own = [...files.keys(), ...links.keys()].filter(name => folder === '' || name.startsWith(`${folder}/`))
    if (all) return own
    const names = await namesAt(this.api, this.context, folder, this.base)
    return [...new Set([...own, ...names.map(name => posix.join(folder, name))])]
  }

  /** Whether the base branch alone has moved on with a file: what would be merged has its. */
  async isMoved(name: string, id: string | undefined): Promise<boolean> {
    if (this.merge === this.head) return false
    const merged = await statAt(this.api, this.context, name, this.merge).catch(() => ({ sha: '' }))
    return merged?.sha === id
  }

  /** Whether the judged commit has a file, and what would be merged still has: what the base branch has removed since, it does not bring. */
  async isBrought(inRepository: string): Promise<boolean> {
    const found = await this.at(inRepository, this.head)
    if (!found || this.merge === this.head) return found !== undefined
    const merged = await statAt(this.api, this.context, inRepository, this.merge).catch(() => found)
    return merged !== undefined
  }

  /** The commit that the change began at, as far as that is known, and else the base branch. */
  begin(): Promise<string> {
    this.#began ??= mergeBase(this.api, this.context, baseBranch(this.context), this.head).then(
      ({ commit }) => commit ?? this.base,
    )
    return this.#began
  }

  /** Whether the change has another file at a path than the commit that it began at. */
  async edits(inRepository: string): Promise<boolean> {
    const [before, now] = await this.#change(inRepository)
    return before?.sha !== now?.sha
  }

  /** Whether the change has a file at a path where the commit that it began at has none. */
  async brings(inRepository: string): Promise<boolean> {
    const [before, now] = await this.#change(inRepository)
    return before === undefined && now !== undefined
  }

  /** What is at a path where the change began, and at its head. */
  async #change(inRepository: string): Promise<[FileAt | undefined, FileAt | undefined]> {
    return [await this.at(inRepository, await this.begin()), await this.at(inRepository, this.head)]
  }

  /** Whether the base branch's workflow compares with a commit. */
  wasChosen(commit: string): Promise<boolean> {
    const chosen = this.#chosen.get(commit) ?? this.#isChosen(commit)
    this.#chosen.set(commit, chosen)
    return chosen
  }

  async #isChosen(commit: string): Promise<boolean> {
    const { pullRequest, mergeGroup, defaultBranch } = this.context
    const branches = [baseBranch(this.context), ...(defaultBranch ? [defaultBranch] : [])]
    const isOn = (branch: string) => isOnBranch(this.api, this.context, commit, branch)
    if (!(await isOn(branches[0])) && !(branches.length > 1 && (await isOn(branches[1])))) return false
    const isBase = [pullRequest?.baseSha, mergeGroup?.baseSha].includes(commit)
    return isBase || (await workflowOnBase(this.context)).state !== 'other'
  }
}
