import type { Verdict } from '../report/schema.ts'

/**
 * Whether a person may let it pass: a rule of the user's fails the job, or a built-in one that compares with the baseline. What always
 * holds (a weight that is NaN, a layer that can't be read, no checkpoint) is no matter of opinion.
 */
export function isAcceptable({ fails_job, rules }: Verdict): boolean {
  return fails_job && !rules.some(rule => rule.builtin && !rule.name && rule.level === 'fail' && rule.outcome !== 'ok')
}

/** The verdict after somebody set the label: `accepted`, or the same with the reason why the label does not count. */
export function accept(
  verdict: Verdict,
  label: string,
  found: { readonly by: string; readonly at: string } | { readonly refused: string },
): Verdict {
  if ('refused' in found) return { ...verdict, refused: { label, reason: found.refused } }
  const was = verdict.status === 'failed' ? ('failed' as const) : ('inconclusive' as const)
  return { ...verdict, status: 'accepted', fails_job: false, accepted: { label, by: found.by, at: found.at, was } }
}
