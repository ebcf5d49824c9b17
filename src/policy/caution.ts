import type { Pair } from '../comparison/pair.ts'
import type { LayerMetric } from '../report/columns.ts'
import type { ModelRule } from './rule.ts'

/** Metrics that say how large the weights are. */
const NORMS: readonly LayerMetric[] = ['norm', 'log_norm', 'spectral_norm', 'log_spectral_norm', 'lambda_max', 'sv_max']

/**
 * Why the metric of a relative rule misleads for these two models; empty where it does not. Sources: Martin, Peng & Mahoney 2021
 * (alpha and the norms over depth), Martin & Mahoney 2021 (the norms over hyper-parameters, a Simpson's paradox), and docs/gating.md
 * for what seeds do.
 */
export function cautionOf({ subject }: ModelRule, { judgement }: Pair): string {
  const metric = changedMetric(subject)
  if (!judgement || metric === undefined) return ''
  switch (judgement.relation) {
    case 'unrelated':
      return 'another architecture: no change of a metric says which of the two is better'
    case 'resized':
      return metric === 'alpha'
        ? 'alpha misleads across depths and widths: over the published VGG series its correlation with the test error is −0.97. alpha_weighted follows it, with 0.96'
        : ''
    case 'same':
      if (NORMS.includes(metric))
        return 'a norm follows accuracy over depths, and contradicts it over the hyper-parameters of one architecture, a Simpson paradox: `primary` is the change to gate on'
      return metric === 'alpha' && isMean(subject)
        ? 'the mean alpha moves by 0.06 to 5 between seeds of one network, since the search for xmin jumps: `primary` moves by 0.12 at most'
        : ''
    default:
      return ''
  }
}

function changedMetric(subject: ModelRule['subject']): LayerMetric | undefined {
  if (subject.kind === 'any') return subject.delta ? subject.metric : undefined
  if (subject.kind !== 'delta' || subject.value.kind === 'model' || subject.value.kind === 'advice') return undefined
  return subject.value.metric
}

function isMean(subject: ModelRule['subject']): boolean {
  return subject.kind === 'delta' && subject.value.kind === 'mean'
}
