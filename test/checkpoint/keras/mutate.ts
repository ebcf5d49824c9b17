import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { CheckpointError } from '../../../src/errors.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { read, stored } from './values.ts'

/** Bytes that mean something in sizes, counts, kinds and addresses. */
const TELLING = [0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 254, 255]

/**
 * Changes a few bytes of a file at a time, or cuts it, and reads what is left, all tensors too: each must end in tensors or in a
 * CheckpointError, within two seconds.
 */
export async function mutate(path: string, times: number, seed: number): Promise<void> {
  const original = readFileSync(path)
  const copy = join(temporaryFolder(), 'mutant')
  const random = generator(seed)
  const below = (n: number) => Math.floor(random() * n)
  for (let i = 0; i < times; i++) {
    let bytes = Buffer.from(original)
    for (let n = 1 + below(4); n > 0; n--) {
      const at = below(bytes.length)
      bytes[at] = random() < 0.5 ? TELLING[below(TELLING.length)] : below(256)
    }
    if (random() < 0.05) bytes = bytes.subarray(0, below(bytes.length))
    writeFileSync(copy, bytes)
    const start = performance.now()
    try {
      for (const tensor of (await read(copy)).tensors) await stored(tensor)
    } catch (error) {
      if (!(error instanceof CheckpointError)) {
        throw new Error(`mutant ${i} of ${path} (seed ${seed}) ends in ${(error as Error).stack}`)
      }
    }
    expect(performance.now() - start, `mutant ${i} of ${path} (seed ${seed})`).toBeLessThan(2000)
  }
}

/** mulberry32 */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
