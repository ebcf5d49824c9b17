import type { Layer } from './schema.ts'

/** Why a layer has no usable fit. */
export function whyUnfitted({ status, error, lambda_max, num_evals }: Layer): string {
  if (status === 'error') return error?.message ?? ''
  if (status === 'degenerate') return 'its tail has no spread that a power law could describe'
  if (lambda_max === 0) return 'all its eigenvalues are 0'
  return `fewer than two of its ${num_evals} eigenvalues exceed 0.00001`
}
