import { limits } from '../../limits.ts'
import type { Api } from '../api.ts'
import type { Context } from '../context.ts'
import { explainFailure, isRefusal } from '../failures.ts'
import { UnreachableError } from './archive.ts'

/** Commits along first parents, fetched as they are needed. */
export class Lineage {
  /** Why it ends where it ends; empty where it just ends. */
  problem = ''
  readonly #api: Api
  readonly #context: Context
  readonly #parents = new Map<string, string | undefined>()
  #requests = 0

  constructor(api: Api, context: Context) {
    this.#api = api
    this.#context = context
  }

  /** The first parent of a commit, that one's first parent, and so on. */
  async *before(start: string): AsyncGenerator<{ sha: string; distance: number }> {
    let sha: string | undefined = start
    for (let distance = 1; distance <= limits.github.baselineCommits; distance++) {
      sha = await this.#parent(sha)
      if (sha === undefined) return
      yield { sha, distance }
    }
  }

  async #parent(sha: string): Promise<string | undefined> {
    if (!this.#parents.has(sha)) await this.#load(sha)
    return this.#parents.get(sha)
  }

  async #load(sha: string): Promise<void> {
    if (this.#requests++ >= limits.github.commitPages) return
    const { owner, name: repo } = this.#context.repository
    try {
      const { data } = await this.#api.octokit.rest.repos.listCommits({ owner, repo, sha, per_page: 100 })
      if (!Array.isArray(data)) throw new UnreachableError('the list of commits is not one')
      for (const commit of data) this.#parents.set(commit.sha, commit.parents?.[0]?.sha)
    } catch (error) {
      if (!isRefusal(error)) throw error
      this.problem = explainFailure(error, 'The commits before it are not known', 'contents: read', this.#context)
    }
  }
}
