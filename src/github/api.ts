import { setTimeout as delay } from 'node:timers/promises'
import type { getOctokit } from '@actions/github'

export type Octokit = ReturnType<typeof getOctokit>

/** GitHub, for one token, until one deadline. */
export interface Api {
  octokit: Octokit
  deadline: Deadline
}

/** One limit of time that all publishing shares. */
export interface Deadline {
  signal: AbortSignal
  /** Milliseconds left. */
  left(): number
  /** What `promise` gives, unless the deadline comes first: then a `DeadlineError`. */
  race<T>(promise: Promise<T>): Promise<T>
  sleep(milliseconds: number): Promise<void>
  /** Nothing more will be published. */
  done(): void
}

/** Publishing took longer than it may. */
export class DeadlineError extends Error {
  override name = 'DeadlineError'
}

/** GitHub asks to wait, longer than the deadline has left. */
export class WaitError extends Error {
  override name = 'WaitError'
  readonly seconds: number

  constructor(seconds: number) {
    super(`GitHub asks to wait ${seconds} s`)
    this.seconds = seconds
  }
}

/** Starts the time that publishing may take: a slow API must not hold a runner. */
export function startDeadline(milliseconds = 60_000): Deadline {
  const controller = new AbortController()
  const end = Date.now() + milliseconds
  const late = new DeadlineError(`publishing took longer than ${milliseconds / 1000} s`)
  const timer = setTimeout(() => controller.abort(late), milliseconds)
  const { signal } = controller
  const race = async <T>(promise: Promise<T>): Promise<T> => {
    let expire = () => {}
    const expired = new Promise<never>((_, reject) => {
      expire = () => reject(late)
      if (signal.aborted) expire()
      else signal.addEventListener('abort', expire)
    })
    try {
      return await Promise.race([promise, expired])
    } finally {
      signal.removeEventListener('abort', expire)
    }
  }
  return {
    signal,
    left: () => Math.max(0, end - Date.now()),
    race,
    sleep: async wait => {
      await delay(wait, undefined, { signal }).catch(() => signal.throwIfAborted())
    },
    done: () => clearTimeout(timer),
  }
}

/** The connection was cut in the middle of an answer. */
class CutError extends Error {
  override name = 'CutError'
}

/** Milliseconds before the second, third and fourth attempt. */
const PAUSES = [250, 1000, 4000]

/**
 * The API client. Every request ends with the deadline. What GitHub refused for going too fast is asked again after as
 * long as it says. After a server's error or a lost connection only a request that may safely happen twice is asked
 * again; a POST is not, for it may have been carried out.
 *
 * This is not `@octokit/plugin-retry`: that heeds neither `Retry-After` nor an aborted signal while it waits, repeats a
 * POST, and takes an answer that was cut off for an empty one.
 */
export async function connect(options: { token: string; apiUrl: string; deadline: Deadline }): Promise<Api> {
  const { token, apiUrl, deadline } = options
  const { getOctokit } = await import('@actions/github')
  const octokit = getOctokit(token, { baseUrl: apiUrl })
  octokit.hook.wrap('request', async (request, parameters) => {
    const safe = parameters.method !== 'POST' || parameters.url.endsWith('/graphql')
    const limited = { ...parameters, request: { ...parameters.request, signal: deadline.signal } }
    for (const pause of [...PAUSES, undefined]) {
      try {
        const answer = await deadline.race(Promise.resolve(request(limited)))
        const cut = answer.data === '' && answer.headers['content-type']?.includes('json')
        if (cut) throw new CutError('the connection was cut in the middle of the answer')
        return answer
      } catch (error) {
        deadline.signal.throwIfAborted()
        const asked = askedToWait(error)
        if (asked !== undefined && asked >= deadline.left()) throw new WaitError(Math.ceil(asked / 1000))
        if (pause === undefined || (asked === undefined && !(safe && isTransient(error)))) throw error
        await deadline.sleep(asked ?? pause)
      }
    }
    throw new Error('unreachable')
  })
  return { octokit, deadline }
}

/** GitHub or the connection to it failed: it is not known whether the request was carried out. */
export function isTransient(error: unknown): boolean {
  const { status } = error as { status?: number }
  return error instanceof CutError || status === 408 || (status !== undefined && status >= 500)
}

/** Milliseconds that GitHub asks to wait before the next request, where it refused one for its rate limits. */
function askedToWait(error: unknown): number | undefined {
  const { status, response } = error as { status?: number; response?: { headers: Record<string, string | undefined> } }
  if ((status !== 403 && status !== 429) || !response) return undefined
  const { 'retry-after': after, 'x-ratelimit-remaining': remaining, 'x-ratelimit-reset': reset } = response.headers
  if (after !== undefined && Number.isFinite(Number(after))) return Math.max(0, Number(after)) * 1000
  if (remaining === '0' && Number.isFinite(Number(reset))) return Math.max(0, Number(reset) * 1000 - Date.now()) + 1000
  return status === 429 || /secondary rate limit/i.test((error as Error).message) ? 60_000 : undefined
}
