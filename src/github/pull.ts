import type { Api } from './api.ts'
import type { Context, PullRequest } from './context.ts'

/** A pull request of this repository, as GitHub knows it now. Its errors pass through. */
export async function readPull({ octokit }: Api, { repository }: Context, number: number): Promise<PullRequest> {
  const { owner, name: repo } = repository
  const { data } = await octokit.rest.pulls.get({ owner, repo, pull_number: number })
  return pullRequestOf(data)
}

interface Listed {
  number: number
  head: { sha: string; ref: string; repo?: { full_name: string; id: number } | null }
  base: { sha: string; ref: string; repo?: { full_name: string; id: number } | null }
  labels: { name?: string }[]
}

/** The same from a list. */
export function pullRequestOf({ number, head, base, labels }: Listed): PullRequest {
  return {
    number,
    headSha: head.sha,
    headRef: head.ref,
    headRepository: head.repo?.full_name ?? null,
    fork: !(head.repo && base.repo && head.repo.id === base.repo.id),
    baseSha: base.sha,
    baseRef: base.ref,
    labels: labels.flatMap(({ name }) => name ?? []),
    labelled: null,
  }
}
