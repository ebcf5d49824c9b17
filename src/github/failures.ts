import { DeadlineError, isTransient, WaitError } from './api.ts'
import { type Context, DEPENDABOT } from './context.ts'

export type Permission = 'actions: read' | 'contents: read' | 'pull-requests: read' | 'pull-requests: write'

/** Why something could not be published or read, for a person: one sentence, and what to do. The verdict stands. */
export function explainFailure(error: unknown, what: string, needs: Permission, context: Context): string {
  return `${what}: ${reason(error, needs, context)}`
}

function reason(error: unknown, needs: Permission, context: Context): string {
  const { status, response } = error as { status?: number; response?: object }
  const said = clean(error instanceof Error ? error.message : String(error))
  if (error instanceof DeadlineError) return `${said}. The verdict stands.`
  if (error instanceof WaitError) return `${said}, longer than publishing may take. The verdict stands.`
  if (status === 401) return 'GitHub does not accept the token. Leave `github-token` out, or pass a valid one.'
  if (/rate limit/i.test(said) || status === 429) return `GitHub's rate limit is used up (${said}). The verdict stands.`
  if (status === 403) return refused(said, needs, context)
  if (status === 404 && /^Branch not found/i.test(said)) return `GitHub has no such branch (404): was it deleted?`
  if (status === 404) return `GitHub finds it not (404: ${said}), or the token may not see it. ${remedy(needs)}`
  if (status === 410) return `it is gone, expired or disabled in this repository (410: ${said}).`
  if (isTransient(error) && !response) return `the connection to ${new URL(context.apiUrl).host} failed (${said}).`
  if (isTransient(error))
    return `GitHub failed (${status}: ${said}). Run the job again; see https://www.githubstatus.com`
  if (status !== undefined) return `GitHub does not accept it (${status}: ${said}).`
  return `${said}. If this is not clear, please report it.`
}

/** What GitHub says when it refuses for something else than a permission, and what helps. */
const REFUSALS: readonly (readonly [RegExp, string])[] = [
  [/IP allow list/i, 'Put the address of the runner on that list, or use a runner whose address is on it.'],
  [/SAML|single sign-on|\bSSO\b/i, 'Authorise the token for the organisation, or leave `github-token` out.'],
  [/archived/i, 'An archived repository takes nothing new.'],
  [/\blocked/i, 'The conversation is locked: unlock it, or switch the comment off.'],
  [/blocked/i, 'Unblock who owns the token, or leave `github-token` out.'],
  [/suspended|forbids access|classic/i, 'Use another token, or leave `github-token` out.'],
]

/** GitHub's own sentence, and then what we think of it. */
function refused(said: string, needs: Permission, context: Context): string {
  const sentence = `GitHub refuses it (403: ${said}).`
  const known = REFUSALS.find(([pattern]) => pattern.test(said))
  if (known) return `${sentence} ${known[1]}`
  return `${sentence} ${readOnly(context, needs) ?? `The token seems to lack the permission \`${needs}\`. ${remedy(needs)}`}`
}

/** Runs that GitHub gives a read-only token whatever their workflow asks for. */
function readOnly({ event, actor, pullRequest }: Context, needs: Permission): string | undefined {
  if (!event.startsWith('pull_request') || event === 'pull_request_target' || !needs.endsWith('write')) return undefined
  const where = 'The verdict is in the job summary, and decides the job all the same.'
  if (pullRequest?.fork) return `GitHub gives the run of a pull request from a fork a read-only token. ${where}`
  if (actor === DEPENDABOT) return `GitHub gives a run that Dependabot started a read-only token. ${where}`
  return undefined
}

/** Naming one permission takes all others away: all that the gate needs, and checkout with it. */
function remedy(needs: Permission): string {
  const pulls = needs === 'pull-requests: read' ? needs : 'pull-requests: write'
  return `Add to the job:\npermissions:\n  contents: read\n  actions: read\n  ${pulls}`
}

/** Somebody else's message on one line, without what may be secret: the query of a URL can be its signature. */
export function clean(message: string): string {
  const line = message.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  return line.split(' ').map(withoutQuery).join(' ').replace(/\.$/, '').slice(0, 300)
}

/** A word, up to the query of the URL that it holds. */
function withoutQuery(word: string): string {
  const begin = /https?:\/\/[^?]/.exec(word)
  const end = begin ? word.indexOf('?', begin.index + begin[0].length) : -1
  return end < 0 ? word : `${word.slice(0, end)}?…`
}

/** GitHub refused for its rate limits, which is no lack of a permission though the status may be 403. */
export function isLimit(error: unknown): boolean {
  const { status, message } = error as { status?: number; message?: string }
  return error instanceof WaitError || status === 429 || (status === 403 && /rate limit/i.test(message ?? ''))
}

/** GitHub refused, or knows nothing of it: asking again is no use. */
export function isRefusal(error: unknown): boolean {
  return [403, 404, 409, 422].includes((error as { status?: number }).status ?? 0) && !isLimit(error)
}
