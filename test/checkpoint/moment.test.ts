import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { momentIn } from '../../src/checkpoint/moment.ts'
import { temporaryFolder } from '../support/folder.ts'
import { goldenTensor } from '../support/golden.ts'
import { safetensorsBytes } from '../support/safetensors.ts'
import { archive, dict, int, makeZip, opcodes, readBytes, tensor, text } from './torch/build.ts'

test.each<[string, Record<string, unknown>, ReturnType<typeof momentIn>]>([
  ['Lightning', { epoch: 3, global_step: 1200, state_dict: new Map() }, { step: 1200, epoch: 3 }],
  ['transformers', { epoch: 1.5, global_step: 500 }, { step: 500, epoch: 1.5 }],
  ['Megatron', { iteration: 90_000 }, { step: 90_000 }],
  ['kohya, whose header has texts', { ss_epoch: '4', ss_steps: '1600' }, { step: 1600, epoch: 4 }],
  ['a step before another name of it', { steps: 5, global_step: 7 }, { step: 7 }],
  ['the start', { epoch: 0 }, { epoch: 0 }],
  ['a large step', { step: 2n ** 40n }, { step: 2 ** 40 }],
  ['beyond what a number holds', { step: 2n ** 60n }, undefined],
  ['no numbers', { epoch: 'last', step: null, iter: -1, global_step: Number.NaN }, undefined],
  ['nothing', { loss: 0.5 }, undefined],
])('%s', (_, found, moment) => {
  expect(momentIn(key => found[key])).toEqual(moment)
})

test('of a pickle, beside its state dict', async () => {
  const weights = dict({ 'a.weight': tensor({ shape: [2, 2], strides: [2, 1] }) })
  const root = dict({ epoch: int(12), state_dict: weights, args: opcodes('N') })
  const { moment, tensors, ignored } = await readBytes(makeZip(archive(root, Buffer.alloc(16))))
  expect(moment).toEqual({ epoch: 12 })
  expect(tensors).toHaveLength(1)
  expect(ignored).toContain('epoch')
  // A weight of that name is none.
  const named = dict({ step: tensor({ shape: [2, 2], strides: [2, 1] }), epoch: text('first') })
  expect((await readBytes(makeZip(archive(named, Buffer.alloc(16))))).moment).toBeUndefined()
})

test('of safetensors, by the header or by what the trainer wrote beside it', async () => {
  const folder = join(temporaryFolder(), 'checkpoint-500')
  mkdirSync(folder)
  const path = join(folder, 'model.safetensors')
  const write = (metadata?: Record<string, string>) =>
    writeFileSync(path, safetensorsBytes({ 'a.weight': goldenTensor('G1') }, metadata))
  write()
  expect((await openCheckpoint(folder)).moment).toBeUndefined()
  writeFileSync(join(folder, 'trainer_state.json'), JSON.stringify({ epoch: 0.5, global_step: 500, log_history: [] }))
  const { moment, stamps } = await openCheckpoint(folder)
  expect(moment).toEqual({ step: 500, epoch: 0.5 })
  expect(stamps.map(({ path }) => path)).toContain(join(folder, 'trainer_state.json'))
  write({ step: '20' })
  expect((await openCheckpoint(path)).moment).toEqual({ step: 20 })
  write({ format: 'pt' })
  writeFileSync(join(folder, 'trainer_state.json'), '{"global_step": "many", "epoch": {}}')
  expect((await openCheckpoint(path)).moment).toBeUndefined()
  writeFileSync(join(folder, 'trainer_state.json'), 'no JSON')
  expect((await openCheckpoint(path)).moment).toBeUndefined()
})
