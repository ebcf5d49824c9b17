/**
 * All eigenvalues of AᵀA in four stages: Gram matrix, dense to band, band to tridiagonal, root-free QL; and products AᵀAv. Addresses are bytes in the
 * linear memory, which the caller lays out (kernel.ts); nothing here allocates.
 */

export { bandStep, bandWork } from './band'
export { gram } from './gram'
export { gramTimes } from './gram-times'
export { pack } from './pack'
export { eigenvalues } from './ql'
export { scale } from './scale'
export { chase, extractBand, extractTridiagonal, tridiagonalise } from './tridiagonal'

/** Where the memory begins that the caller may lay out. */
export function heapBase(): usize {
  return __heap_base
}
