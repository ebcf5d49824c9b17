import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { limits } from '../../../src/limits.ts'
import { write } from '../hdf5/build.ts'
import { type Entry, makeZip } from '../torch/build.ts'
import { read, refusal } from './values.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/keras/${name}`, import.meta.url))
const weights = readFileSync(fixture('keras3.weights.h5'))
const entry = (name: string, data: Uint8Array | string, more: Partial<Entry> = {}): Entry => ({
  name,
  data: Buffer.from(data),
  ...more,
})
const archive = (...entries: Entry[]) => write(makeZip([entry('metadata.json', '{}'), ...entries]), 'model.keras')
const names = async (path: string) => (await read(path)).tensors.map(({ name }) => name)

test('no weights', async () => {
  expect(await refusal(archive(entry('config.json', '{}')))).toMatch(/is a Keras archive without model.weights.h5/)
})

test.each([
  ['no JSON', '{"config": '],
  ['nothing', 'null'],
  ['nested without end', `${'{"config":{"layers":['.repeat(10_000)}${']}}'.repeat(10_000)}`],
  ['too large', `"${'x'.repeat(limits.keras.configBytes)}"`],
  ['of other kinds', '{"config": {"layers": [null, 1, {"class_name": 7}, {"class_name": "Dense", "config": []}]}}'],
])('a config that is %s: names come from the weights', async (_, config) => {
  const path = archive(entry('config.json', config, { method: 8 }), entry('model.weights.h5', weights))
  expect(await names(path)).toContain('stem/kernel')
})

test('names come from the config where the weights give none', async () => {
  const nameless = Buffer.from(weights.toString('latin1').replaceAll('name\0', 'nope\0'), 'latin1')
  const config = { config: { layers: [{ class_name: 'Conv2D', config: { name: 'first' } }] } }
  const path = archive(entry('config.json', JSON.stringify(config)), entry('model.weights.h5', nameless))
  expect(await names(path)).toContain('first/kernel')
  expect(await names(archive(entry('model.weights.h5', nameless)))).toContain('conv2d/kernel')
})

test('two variables that would get one name keep their paths', async () => {
  const layer = (name: string) => ({ class_name: name, config: { name: 'same' } })
  const nameless = Buffer.from(weights.toString('latin1').replaceAll('name\0', 'nope\0'), 'latin1')
  const config = { config: { layers: [layer('Conv2D'), layer('DepthwiseConv2D')] } }
  const path = archive(entry('config.json', JSON.stringify(config)), entry('model.weights.h5', nameless))
  expect((await names(path)).filter(name => name.endsWith('vars/0')).slice(0, 2)).toEqual([
    'layers/conv2d/vars/0',
    'layers/depthwise_conv2d/vars/0',
  ])
})

test('what lies beside the weights is named', async () => {
  const path = archive(entry('model.weights.h5', weights), entry('assets/../../vocabulary.txt', 'a'))
  expect((await read(path).catch(error => error)).ignored ?? 'refused').toEqual(expect.anything())
})

test('a bomb', async () => {
  const bomb = entry('model.weights.h5', Buffer.alloc(50 * 1024 * 1024), { method: 8 })
  expect(await refusal(archive(bomb))).toMatch(/"model.weights.h5": claims to inflate from \d+ to 52428800 bytes/)
})

test('a size that is a lie', async () => {
  const lie = { method: 8, size: weights.length - 100 } as const
  expect(await refusal(archive(entry('model.weights.h5', weights, lie)))).toMatch(/inflates to more than the \d+ bytes/)
})

test('a checksum that is wrong', async () => {
  const path = archive(entry('model.weights.h5', weights, { method: 8, crc: 1 }))
  expect(await refusal(path)).toMatch(/the checksum \(CRC-32\) of a deflated member is wrong/)
})

test('weights that are no HDF5', async () => {
  expect(await refusal(archive(entry('model.weights.h5', 'PK')))).toMatch(/is not an HDF5 file/)
})

test('a link of a stored member beyond it, into the rest of the archive', async () => {
  const cut = weights.subarray(0, weights.length - 4000)
  const path = archive(entry('model.weights.h5', cut), entry('assets/x', weights))
  expect(await refusal(path)).toMatch(/ends at byte \d+, but its HDF5 has \d+/)
})
