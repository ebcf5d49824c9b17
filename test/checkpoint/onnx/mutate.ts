import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect } from 'vitest'
import type { Reader } from '../../../src/checkpoint/reader.ts'
import type { Tensor } from '../../../src/checkpoint/types.ts'
import { CheckpointError } from '../../../src/errors.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { bytesOf } from './build.ts'
import { describeWith } from './open.ts'

/** Numbers below a bound, the same in every run. */
function generator(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 4294967296) * below)
  }
}

/** Some bytes changed, and now and then some taken out, doubled or cut off. */
function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  let mutant = Buffer.from(bytes)
  for (let i = 0; i <= random(4); i++) {
    const at = random(mutant.length)
    mutant[at] = [random(256), 0, 0xff, mutant[at] ^ (1 << random(8)), mutant[at] + 1][random(5)]
  }
  const from = random(mutant.length)
  const to = from + random(32)
  const parts = [mutant.subarray(0, from), mutant.subarray(from, to), mutant.subarray(from, to), mutant.subarray(to)]
  if (random(8) === 0) mutant = Buffer.concat(parts)
  if (random(8) === 0) mutant = Buffer.concat([parts[0], parts[3]])
  if (random(8) === 0) mutant = mutant.subarray(0, from)
  return mutant
}

/** Reads mutants of a file, their tensors too: each ends in tensors or in a CheckpointError. */
export async function readMutants(
  reader: Reader,
  path: string,
  count: number,
  folder = temporaryFolder(),
): Promise<{ readonly read: number; readonly refused: number; readonly slowest: number }> {
  const original = readFileSync(path)
  const random = generator(6)
  const target = join(folder, basename(path))
  const outcome = { read: 0, refused: 0, slowest: 0 }
  for (let i = 0; i < count; i++) {
    writeFileSync(target, mutate(original, random))
    const start = performance.now()
    try {
      const tensors: (Tensor & { skip?: string })[] = [...(await describeWith(reader, target)).tensors]
      for (const tensor of tensors) if (!tensor.skip) await bytesOf(tensor)
      outcome.read++
    } catch (error) {
      expect(error, `mutant ${i} of ${basename(path)}`).toBeInstanceOf(CheckpointError)
      outcome.refused++
    }
    outcome.slowest = Math.max(outcome.slowest, performance.now() - start)
  }
  return outcome
}
