import { readFileSync } from 'node:fs'
import { size } from '../../src/checkpoint/types.ts'
import type { Written } from './safetensors.ts'

/** What WeightWatcher 0.7.5.5 computes on the matrices that `generate` makes: see `env` in the file for the versions. */
export const golden = JSON.parse(readFileSync(new URL('../fixtures/weightwatcher.json', import.meta.url), 'utf8'))

/** A matrix or convolution kernel from a linear congruential generator, exact in IEEE doubles on any platform. */
export function generate(seed: number, shape: readonly number[], colscale: boolean): Written {
  let s = seed
  const inner = size(shape.slice(2))
  const values = Float32Array.from({ length: size(shape) }, (_, i) => {
    s = (1664525 * s + 1013904223) % 2 ** 32
    const t = (2 * s) / 2 ** 32 - 1
    const x = (0.1 * t) / (1.02 - Math.abs(t))
    return colscale ? x / Math.sqrt(1 + (Math.floor(i / inner) % shape[1])) : x
  })
  return { shape, values }
}

export function goldenTensor(name: string): Written {
  const { seed, shape, colscale } = golden[name]
  return generate(seed, shape, colscale)
}
