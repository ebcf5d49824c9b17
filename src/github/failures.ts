import { DeadlineError, isTransient, WaitError } from './api.ts'
import type { Context } from './context.ts'

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
  if (status === 403 && /locked/i.test(said)) return 'the conversation is locked. Unlock it, or switch the comment off.'
  if (status === 403) return readOnly(context, needs) ?? `the token lacks the permission \`${needs}\`. ${remedy(needs)}`
  if (status === 404) return `GitHub finds it not (404), or the token may not see it. ${remedy(needs)}`
  if (status === 410) return `it is gone, expired or disabled in this repository (410: ${said}).`
  if (isTransient(error) && !response) return `the connection to ${new URL(context.apiUrl).host} failed (${said}).`
  if (isTransient(error))
    return `GitHub failed (${status}: ${said}). Run the job again; see https://www.githubstatus.com`
  if (status !== undefined) return `GitHub does not accept it (${status}: ${said}).`
  return `${said}. If this is not clear, please report it.`
}

/** Runs that GitHub gives a read-only token whatever their workflow asks for. */
function readOnly({ event, actor, pullRequest }: Context, needs: Permission): string | undefined {
  if (!event.startsWith('pull_request') || event === 'pull_request_target' || !needs.endsWith('write')) return undefined
  const where = 'The verdict is in the job summary, and decides the job all the same.'
  if (pullRequest?.fork) return `GitHub gives the run of a pull request from a fork a read-only token. ${where}`
  if (actor === 'dependabot[bot]') return `GitHub gives a run that Dependabot started a read-only token. ${where}`
  return undefined
}

/** Naming one permission takes all others away, and checkout needs `contents: read`. */
function remedy(needs: Permission): string {
  const lines = new Set(['contents: read', needs])
  return `Add to the job:\npermissions:\n${[...lines].map(line => `  ${line}`).join('\n')}`
}

/** Somebody else's message on one line, without what may be secret: the query of a URL can be its signature. */
export function clean(message: string): string {
  const line = message.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  return line
    .replace(/(https?:\/\/[^\s?]+)\?\S*/g, '$1?…')
    .replace(/\.$/, '')
    .slice(0, 300)
}

/** GitHub refused for its rate limits, which is no lack of a permission though the status may be 403. */
export function isLimit(error: unknown): boolean {
  const { status, message } = error as { status?: number; message?: string }
  return error instanceof WaitError || status === 429 || (status === 403 && /rate limit/i.test(message ?? ''))
}
