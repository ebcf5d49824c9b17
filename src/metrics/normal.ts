const ROOT_TWO_PI = Math.sqrt(2 * Math.PI)
/** Where the series loses no more than it may, and the fraction converges soon. */
const FAR = 3

/** Mills' ratio Q(z)/φ(z) of the standard normal law: what lies beyond z over the density there. To 1e-12 for z ≥ −37. */
export function millsRatio(z: number): number {
  if (z < -FAR) return density(z) > 0 ? 1 / density(z) - millsRatio(-z) : Number.POSITIVE_INFINITY
  if (z > FAR) {
    // Laplace's continued fraction 1/(z + 1/(z + 2/(z + …))), from its far end.
    let tail = z
    for (let k = 200; k >= 1; k--) tail = z + k / tail
    return 1 / tail
  }
  // Q(z) = ½ − φ(z)·(z + z³/3 + z⁵/15 + …).
  let term = z
  let sum = z
  for (let k = 1; k < 100 && Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
    term *= (z * z) / (2 * k + 1)
    sum += term
  }
  return 0.5 / density(z) - sum
}

/** erfc(x) for x ≥ 0: twice what the normal law has beyond x√2. */
export function erfc(x: number): number {
  const z = x * Math.SQRT2
  return 2 * density(z) * millsRatio(z)
}

function density(z: number): number {
  return Math.exp(-0.5 * z * z) / ROOT_TWO_PI
}
