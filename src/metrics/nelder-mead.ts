/** Where the simplex is small, in argument and value. */
const TOLERANCE = 1e-4
const MOST_ITERATIONS = 200
const MOST_EVALUATIONS = 200

/**
 * A local minimum of a function of one number by the simplex method (Nelder and Mead, Computer Journal 7 (1965) 308), with the
 * constants and the order of steps of SciPy's `fmin`, so that it ends where that does.
 */
export function minimise(f: (x: number) => number, start: number): number {
  let evaluations = 0
  const at = (x: number): Vertex => {
    evaluations++
    return { x, value: f(x) }
  }
  let [best, worst] = inOrder(at(start), at(start === 0 ? 0.00025 : 1.05 * start))
  for (let i = 1; i < MOST_ITERATIONS && evaluations < MOST_EVALUATIONS; i++) {
    if (Math.abs(worst.x - best.x) <= TOLERANCE && Math.abs(best.value - worst.value) <= TOLERANCE) break
    const reflected = at(2 * best.x - worst.x)
    let next: Vertex
    if (reflected.value < best.value) {
      const expanded = at(3 * best.x - 2 * worst.x)
      next = expanded.value < reflected.value ? expanded : reflected
    } else {
      const outside = reflected.value < worst.value
      const contracted = at(outside ? 1.5 * best.x - 0.5 * worst.x : 0.5 * best.x + 0.5 * worst.x)
      const good = outside ? contracted.value <= reflected.value : contracted.value < worst.value
      next = good ? contracted : at(best.x + 0.5 * (worst.x - best.x))
    }
    ;[best, worst] = inOrder(best, next)
  }
  return best.x
}

interface Vertex {
  readonly x: number
  readonly value: number
}

/** The better one first; of equals, the first. */
function inOrder(a: Vertex, b: Vertex): [Vertex, Vertex] {
  return b.value < a.value ? [b, a] : [a, b]
}
