import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import type { Tensor } from '../../src/checkpoint/types.ts'
import { limits } from '../../src/limits.ts'
import { difference, item, stored, type Values } from '../../src/recipe/values.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { makeZip } from '../checkpoint/torch/build.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'

const WORKER = new URL('../../dist/worker.js', import.meta.url)
const SHAPE = [3, 160, 60]

function npy(seed: number): Buffer {
  const values = Float32Array.from({ length: SHAPE.reduce((a, b) => a * b) }, (_, i) => Math.sin(seed + i * i))
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${SHAPE.join(', ')}), }`
  const header = `${dictionary.padEnd(117)}\n`
  const magic = Buffer.from('\x93NUMPY\x01\x00', 'latin1')
  return Buffer.concat([magic, Buffer.from([header.length, 0]), Buffer.from(header), Buffer.from(values.buffer)])
}

/** An archive as numpy.savez_compressed writes it, and its tensors. */
async function deflated(count: number): Promise<{ path: string; tensors: readonly Tensor[] }> {
  const path = join(temporaryFolder(), 'a.npz')
  const entries = Array.from({ length: count }, (_, i) => ({ name: `w${i}.npy`, data: npy(i), method: 8 as const }))
  writeFileSync(path, makeZip(entries))
  return { path, tensors: (await openCheckpoint(path)).tensors }
}

const matrix = (values: Values) => ({ read: 'matrix' as const, values })

let pool: WorkerPool
const { unpackedBytes, unpackedCount } = limits.spectrum
beforeEach(() => {
  pool = new WorkerPool(WORKER, 2)
})
afterEach(async () => {
  await pool.close()
  Object.assign(limits.spectrum, { unpackedBytes, unpackedCount })
})

describe('what a scan unpacked', () => {
  test('is not unpacked again, whatever is made of it', async () => {
    const { path, tensors } = await deflated(2)
    const recipes = [
      ...[0, 1, 2].map(i => matrix(item(stored(tensors[0]), i))),
      matrix(item(difference(stored(tensors[0]), stored(tensors[1])), 1)),
    ]
    const truth = await Promise.all(recipes.map(recipe => pool.spectrum(recipe)))
    const first = await Promise.all(tensors.map(tensor => pool.scan(tensor, true)))
    // Whoever unpacks it once more has nothing.
    writeFileSync(path, '')
    expect(await Promise.all(recipes.map(recipe => pool.spectrum(recipe)))).toEqual(truth)
    expect(await pool.spectralNorm(recipes[3])).toMatchObject({ largest: truth[3].matrices[0].at(-1) })
    await expect(pool.weights(item(stored(tensors[0]), 0))).resolves.toBeDefined()
    expect(first[0].digest).not.toBe(first[1].digest)
    await expect(pool.scan(tensors[0])).rejects.toThrow()
  })

  test('has the digest that it has where it is not kept', async () => {
    const { tensors } = await deflated(1)
    expect(await pool.scan(tensors[0], true)).toEqual(await pool.scan(tensors[0]))
  })

  test.each([
    ['bytes', { unpackedBytes: 4 * 3 * 160 * 60 }],
    ['files', { unpackedCount: 1 }],
  ])('is kept within bounds of %s: the first makes room for the second, and is unpacked again', async (_, bound) => {
    Object.assign(limits.spectrum, bound)
    const { path, tensors } = await deflated(2)
    const [a, b] = tensors.map(tensor => matrix(item(stored(tensor), 0)))
    const truth = await Promise.all([a, b].map(recipe => pool.spectrum(recipe)))
    await pool.scan(tensors[0], true)
    await pool.scan(tensors[1], true)
    expect(await pool.spectrum(a)).toEqual(truth[0])
    writeFileSync(path, '')
    expect(await pool.spectrum(b)).toEqual(truth[1])
    await expect(pool.spectrum(a)).rejects.toThrow('a.npz')
  })

  test('is not kept where it unpacks to less than the tensor', async () => {
    const { path, tensors } = await deflated(1)
    const [{ source, ...tensor }] = tensors
    const longer = { ...tensor, shape: [3, 160, 61], source: { ...source, strides: [160 * 61, 61, 1] } }
    await expect(pool.scan(longer, true)).rejects.toThrow(/unpacks to|ends/)
    writeFileSync(path, '')
    await expect(pool.spectrum(matrix(item(stored(longer), 0)))).rejects.toThrow()
  })
})

test('what is stored as it is is read from its file', async () => {
  const { writeSafetensors } = await import('../support/safetensors.ts')
  const path = writeSafetensors({ w: goldenTensor('G1') })
  const [tensor] = (await openCheckpoint(path)).tensors
  await pool.scan(tensor, true)
  writeFileSync(path, '')
  await expect(pool.spectrum(matrix(stored(tensor)))).rejects.toThrow('ends in the middle')
})
