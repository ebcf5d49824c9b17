import { COMMENT_MODES } from '../config/table.ts'
import { UserError } from '../errors.ts'
import type { Report } from '../report/schema.ts'

export type CommentMode = (typeof COMMENT_MODES)[number]

/** @throws UserError naming the input */
export function parseCommentMode(text: string): CommentMode {
  const mode = COMMENT_MODES.find(one => one === (text.trim() || 'always'))
  if (mode) return mode
  throw new UserError(`comment is ${JSON.stringify(text)}, but takes ${COMMENT_MODES.join(', ')}.`)
}

/**
 * What a mode makes of a report. `update`: where there is a comment already, it is brought up to date, but none is begun: red
 * has to turn green in every mode but `never`. `on-failure` begins one for a failed or undecided gate, whether or not it is
 * enforced; `on-change` also for a warning, and for any change of a model, or where that cannot be told.
 */
export function commentAction(mode: CommentMode, report: Report): 'write' | 'update' | 'skip' {
  if (mode === 'never') return 'skip'
  if (mode === 'always') return 'write'
  const status = report.verdict?.status
  if (status === 'failed' || (status === 'inconclusive' && !report.verdict?.first_run)) return 'write'
  if (mode === 'on-failure') return 'update'
  return status === 'passed' && isUnchanged(report) ? 'update' : 'write'
}

function isUnchanged({ comparison }: Report): boolean {
  if (comparison?.status !== 'compared' || comparison.removed.length > 0) return false
  return comparison.models.every(
    ({ base, summary, layers, added, removed }) =>
      base !== null &&
      layers.length + added.length + removed.length === 0 &&
      Object.values(summary ?? {}).every(({ head, base }) => head === base),
  )
}
