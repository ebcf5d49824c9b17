/** Numbers in [0, 1) by a linear congruential generator: the same in every run. */
export function generator(seed: number): () => number {
  let s = seed
  return () => {
    s = (1664525 * s + 1013904223) % 4294967296
    return s / 4294967296
  }
}

/** Fills `values` (rows of `columns`) with heavy-tailed weights whose columns fall off: a spectrum such as training leaves. */
export function fillHeavyTailed(values: Float32Array, columns: number, seed: number): void {
  const draw = generator(seed)
  const decay = Float64Array.from({ length: columns }, (_, j) => 1 / Math.sqrt(1 + j))
  for (let i = 0; i < values.length; i++) {
    const t = 2 * draw() - 1
    values[i] = ((0.02 * t) / (1.02 - Math.abs(t))) * decay[i % columns]
  }
}
