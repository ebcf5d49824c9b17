/** Whether a tensor is the running variance of a batch norm, by its name in PyTorch or Keras. */
export function isVariance(name: string): boolean {
  return /(?:^|[._/])(?:running|moving)_var(?:iance)?(?::0)?$/.test(name)
}

/** Whether a tensor is a running mean or variance of a batch norm. */
export function isStatistic(name: string): boolean {
  return isVariance(name) || /(?:^|[._/])(?:running|moving)_mean(?::0)?$/.test(name)
}

/** Of the batch norms of frameworks: PyTorch's, and Keras's. What they add to a variance before they divide by its root. */
export const EPSILON = { least: 1e-5, greatest: 1e-3 }
