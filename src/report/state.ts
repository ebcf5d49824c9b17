import type { Layer, Status } from './schema.ts'

/** How a layer is, in the words of every view. */
export function stateOf({ status, warning }: Pick<Layer, 'status' | 'warning'>): string {
  return warning ? `${status}, ${warning}` : status
}

/** What became of a layer's fit. */
export function stateChange({ head, base }: { head: Status; base: Status }): string {
  return head === base ? head : `${base} → ${head}`
}

/** Why a layer has no usable fit. */
export function whyUnfitted({ status, error, lambda_max, num_evals }: Layer): string {
  if (status === 'error') return error?.message ?? ''
  if (status === 'degenerate') return 'its tail has no spread that a power law could describe'
  if (lambda_max === 0) return 'all its eigenvalues are 0'
  return `fewer than two of its ${num_evals} eigenvalues exceed 0.00001`
}
