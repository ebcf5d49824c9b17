import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { readAttention } from '../../src/checkpoint/attention.ts'
import { openCheckpoint, refuseChanged } from '../../src/checkpoint/index.ts'
import { readConfig } from '../../src/config/file.ts'
import { CheckpointError, explain, MissingCheckpointError } from '../../src/errors.ts'
import { readCustomMetrics } from '../../src/report/custom-metrics.ts'
import { readReport } from '../../src/report/io.ts'
import { temporaryFolder } from '../support/folder.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'
import { archive, dict, makeZip, tensor } from './torch/build.ts'

const LFS = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n'

const refusal = (path: string) => openCheckpoint(path).then(() => 'accepted', explain)

/** Two shards, and an index that places a and b in the first, c in the second unless told otherwise. */
function sharded(
  map: Record<string, string> = { a: 'm-1.safetensors', b: 'm-1.safetensors', c: 'm-2.safetensors' },
): string {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] }, b: { shape: [2] } }, 'm-1.safetensors', folder)
  writeSafetensors({ c: { shape: [3, 3] } }, 'm-2.safetensors', folder)
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
  return folder
}

test('a folder is read through its index', async () => {
  const folder = sharded()
  const { tensors, format, path } = await openCheckpoint(folder)
  expect({ format, path }).toEqual({ format: 'safetensors', path: folder })
  expect(tensors.map(({ name, source }) => [name, source.path])).toEqual([
    ['a', join(folder, 'm-1.safetensors')],
    ['b', join(folder, 'm-1.safetensors')],
    ['c', join(folder, 'm-2.safetensors')],
  ])
})

test('model.safetensors stands for the folder, and so does a single file of another name', async () => {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'model.safetensors', folder)
  writeFileSync(join(folder, 'pytorch_model.bin'), 'the same weights once more')
  writeFileSync(join(folder, 'config.json'), '{}')
  expect((await openCheckpoint(folder)).tensors).toHaveLength(1)
  const other = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'diffusion.safetensors', other)
  expect((await openCheckpoint(other)).tensors).toHaveLength(1)
})

test.each<[string[], string | undefined]>([
  [['model.safetensors', 'pytorch_model.bin'], undefined],
  [['model.safetensors', 'pytorch_model.bin', 'optimizer.bin'], undefined],
  [['model.safetensors', 'pytorch_model.bin', 'config.json'], 'model.safetensors'],
  [['model.safetensors', 'pytorch_model.bin', 'modules.json'], 'model.safetensors'],
  [['model.safetensors', 'pytorch_model.bin', 'config_sentence_transformers.json'], 'model.safetensors'],
  [['model.safetensors'], 'model.safetensors'],
  [['pytorch_model.bin'], 'pytorch_model.bin'],
])('accelerate takes the one or the other: of %j %s', async (names, wanted) => {
  const folder = temporaryFolder()
  for (const name of names)
    if (name.endsWith('.json')) writeFileSync(join(folder, name), '[]')
    else writeSafetensors({ [name]: { shape: [2, 2] } }, name, folder)
  if (wanted !== undefined) expect((await openCheckpoint(folder)).tensors.map(({ name }) => name)).toEqual([wanted])
  else
    expect(await refusal(folder)).toMatch(/of which accelerate loads the one or the other, and no config\.json\nRemove/)
})

/** A model of sentence-transformers, with these folders beside it and these paths in modules.json. */
function modular(folders: readonly string[], paths: readonly unknown[]): string {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'model.safetensors', folder)
  for (const module of folders) {
    mkdirSync(join(folder, module), { recursive: true })
    writeSafetensors({ 'linear.weight': { shape: [3, 2] } }, 'model.safetensors', join(folder, module))
  }
  writeFileSync(join(folder, 'modules.json'), JSON.stringify(paths.map((path, idx) => ({ idx, path, type: 'x' }))))
  return folder
}

test('the modules that modules.json lists are read with the model, under their names', async () => {
  const folder = modular(['2_Dense', '3_Dense', '4_Other'], ['', '1_Pooling', '2_Dense', '3_Dense', 7])
  const { tensors, stamps } = await openCheckpoint(folder)
  expect(tensors.map(({ name }) => name)).toEqual(['a', '2_Dense.linear.weight', '3_Dense.linear.weight'])
  expect(stamps.map(({ path }) => path)).toContain(join(folder, 'modules.json'))
})

test('a module is read once, however its path is spelled', async () => {
  const paths = ['./2 Dense/', '2 Dense', './', 'x//3_Dense', ...Array.from({ length: 50 }, () => '2 Dense')]
  const { tensors } = await openCheckpoint(modular(['2 Dense', 'x/3_Dense'], paths))
  expect(tensors.map(({ name }) => name)).toEqual(['a', '2 Dense.linear.weight', 'x/3_Dense.linear.weight'])
})

test('a module in shards is read by its index', async () => {
  const folder = modular([], ['', '2_Dense'])
  renameSync(sharded(), join(folder, '2_Dense'))
  const { tensors } = await openCheckpoint(folder)
  expect(tensors.map(({ name }) => name)).toEqual(['a', '2_Dense.a', '2_Dense.b', '2_Dense.c'])
})

/** A model of sentence-transformers with weights in these folders, and these configs. */
function modules(weights: readonly string[], configs: Record<string, unknown>): string {
  const folder = temporaryFolder()
  for (const name of [...weights, ...Object.keys(configs).map(config => dirname(config))])
    mkdirSync(join(folder, name), { recursive: true })
  for (const name of weights)
    writeSafetensors({ [`of ${name}`]: { shape: [3, 2] } }, 'model.safetensors', join(folder, name))
  for (const [name, json] of Object.entries(configs)) writeFileSync(join(folder, name), JSON.stringify(json))
  return folder
}

const typed = (path: string, type: string) => ({ path, type: `sentence_transformers.models.${type}` })
const [BERT, POOLING, DENSE] = [
  typed('0_Transformer', 'Transformer'),
  typed('1_Pooling', 'Pooling'),
  typed('2_Dense', 'Dense'),
]
const routes = (...ids: string[]) => ({
  types: Object.fromEntries(ids.map(id => [id, 'sentence_transformers.models.Transformer'])),
  structure: { query: ids },
})

test.each<[string, string[], Record<string, unknown>, string[]]>([
  [
    'the first in a folder of its own',
    ['0_Transformer', '2_Dense'],
    { 'modules.json': [BERT, POOLING, DENSE] },
    ['0_Transformer', '2_Dense'],
  ],
  [
    'a Router in the folder itself',
    ['query_0_Transformer', 'doc_0_Transformer'],
    {
      'modules.json': [typed('', 'Router')],
      'router_config.json': routes('query_0_Transformer', 'doc_0_Transformer'),
    },
    ['query_0_Transformer', 'doc_0_Transformer'],
  ],
  [
    'an Asym below it',
    ['.', '1_Asym/139', '1_Asym/140'],
    { 'modules.json': [typed('', 'Transformer'), typed('1_Asym', 'Asym')], '1_Asym/config.json': routes('139', '140') },
    ['', '1_Asym/139', '1_Asym/140'],
  ],
  [
    'routers in a router, one of which names itself',
    ['r/a', 'r/r/b'],
    {
      'modules.json': [typed('r', 'Router')],
      'r/router_config.json': routes('a', 'r', '.'),
      'r/r/router_config.json': routes('b'),
    },
    ['r/a', 'r/r/b'],
  ],
])('%s: all weights that sentence-transformers loads are read', async (_, weights, configs, wanted) => {
  const { tensors, stamps } = await openCheckpoint(modules(weights, configs))
  const named = wanted.map(module => (module === '' ? 'of .' : `${module}.of ${module}`))
  expect(tensors.map(({ name }) => name)).toEqual(named)
  const configured = Object.keys(configs).filter(name => !name.startsWith('1_Pooling'))
  for (const name of configured) expect(stamps.map(({ path }) => path).join()).toContain(name)
})

test.each<[string, string[], Record<string, unknown>, RegExp]>([
  [
    'weights of the first that are not there',
    ['2_Dense', '0_Transformer/onnx'],
    { 'modules.json': [BERT, DENSE] },
    /0_Transformer: has no weights in it, but in its folders onnx/,
  ],
  [
    'a module that is not there',
    ['0_Transformer'],
    { 'modules.json': [BERT, DENSE] },
    /names the module "2_Dense", which is not there/,
  ],
  [
    'none in the folder itself',
    ['2_Dense'],
    { 'modules.json': [typed('', 'Transformer'), DENSE] },
    /has no weights in it/,
  ],
  [
    'a route outside the folder',
    ['x'],
    { 'modules.json': [typed('r', 'Router')], 'r/router_config.json': routes('../../x') },
    /router_config\.json: names the module "\.\.\/x", which lies outside/,
  ],
  [
    'a route of the machine',
    ['x'],
    { 'modules.json': [typed('r', 'Router')], 'r/router_config.json': routes('/x') },
    /names the module "\/x", which lies outside/,
  ],
  [
    'too many routes',
    ['x'],
    {
      'modules.json': [typed('r', 'Router')],
      'r/router_config.json': { types: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`${i}`, 'x'])) },
    },
    /lists 65 modules, more than 64/,
  ],
])('refuses %s', async (_, weights, configs, message) => {
  expect(await refusal(modules(weights, configs))).toMatch(message)
})

test("an adapter in a module's folder is read by the config beside it", async () => {
  const folder = modules(['2_Dense'], {
    'modules.json': [BERT, DENSE],
    '0_Transformer/adapter_config.json': { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: '.*' },
  })
  const factors = {
    'base_model.model.q.lora_A.weight': { shape: [2, 5] },
    'base_model.model.q.lora_B.weight': { shape: [5, 2] },
  }
  writeSafetensors(factors, 'adapter_model.safetensors', join(folder, '0_Transformer'))
  const { tensors, updates } = await openCheckpoint(folder)
  expect(tensors.map(({ name, skip }) => [name.slice(0, 6), skip])).toEqual([
    ...new Array(2).fill(['0_Tran', undefined]),
    ['2_Dens', undefined],
  ])
  expect(updates).toMatchObject([{ key: '0_Transformer.q.weight', scale: 2, down: expect.stringMatching(/^0_Tr/) }])
})

test.each([
  ['one outside the folder', ['../2_Dense'], /names the module "..\/2_Dense", which lies outside its folder/],
  ['one of the machine', ['/2_Dense'], /names the module "\/2_Dense", which lies outside its folder/],
  ['too many', Array.from({ length: 65 }, (_, i) => `${i}_Dense`), /lists 65 modules, more than 64/],
])('refuses a modules.json with %s', async (_, paths, message) => {
  expect(await refusal(modular(['2_Dense'], paths))).toMatch(message)
})

test('shards that are called as accelerate calls its further models are shards', async () => {
  const folder = sharded({ a: 'model_1.safetensors', b: 'model_1.safetensors', c: 'model_2.safetensors' })
  for (const number of [1, 2])
    renameSync(join(folder, `m-${number}.safetensors`), join(folder, `model_${number}.safetensors`))
  expect((await openCheckpoint(folder)).tensors.map(({ name }) => name).sort()).toEqual(['a', 'b', 'c'])
  writeFileSync(join(folder, 'model_3.safetensors'), 'another model')
  expect(await refusal(folder)).toContain('no index: model.safetensors.index.json, model_3.safetensors')
})

test('a file that is called as such a model, and is the only one, is the model', async () => {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'model_1.safetensors', folder)
  expect((await openCheckpoint(folder)).tensors).toHaveLength(1)
})

test.each(['model_1.safetensors', 'pytorch_model_1.bin'])(
  'a second model of accelerate, %s, is not passed over',
  async name => {
    const folder = temporaryFolder()
    writeSafetensors({ a: { shape: [2, 2] } }, 'model.safetensors', folder)
    writeFileSync(join(folder, name), 'another model')
    expect(await refusal(folder)).toContain(
      `has 2 files that may be the model, and no index: model.safetensors, ${name}`,
    )
  },
)

test.each([
  [
    'a missing shard',
    { a: 'm-1.safetensors', b: 'm-1.safetensors', c: 'm-3.safetensors' },
    /the shard "m-3.safetensors" is missing/,
  ],
  [
    'a tensor in the wrong shard',
    { a: 'm-1.safetensors', b: 'm-2.safetensors', c: 'm-2.safetensors' },
    /m-2.safetensors: lacks the tensor "b"/,
  ],
  [
    'a tensor that no shard has',
    { a: 'm-1.safetensors', b: 'm-1.safetensors', c: 'm-2.safetensors', d: 'm-2.safetensors' },
    /lacks the tensor "d"/,
  ],
  ['a shard outside the folder', { a: '../m-1.safetensors' }, /lies outside its folder/],
  ['an empty map', {}, /empty weight_map/],
  ['a map to numbers', { a: 1 as unknown as string }, /no weight_map from tensors to shards/],
])('refuses an index with %s', async (_, map, message) => {
  expect(await refusal(sharded(map))).toMatch(message)
})

test('refuses an index that is no JSON', async () => {
  const folder = sharded()
  writeFileSync(join(folder, 'model.safetensors.index.json'), '{')
  expect(await refusal(folder)).toMatch(/index.json: is not valid JSON/)
})

test('refuses a tensor that two shards hold', async () => {
  const folder = sharded()
  writeSafetensors({ a: { shape: [2, 2] }, c: { shape: [3, 3] } }, 'm-2.safetensors', folder)
  expect(await refusal(folder)).toMatch(/m-2.safetensors: holds "a", which .*m-1.safetensors holds too/)
})

test('a Git LFS pointer is known by its content: the file itself, a shard, the index', async () => {
  const file = join(temporaryFolder(), 'net.safetensors')
  writeFileSync(file, LFS)
  expect(await refusal(file)).toMatch(
    /net.safetensors: is a Git LFS pointer, not the weights \(12345 bytes\)\n.*`lfs: true`.*`git lfs pull`/,
  )
  const shard = sharded()
  writeFileSync(join(shard, 'm-2.safetensors'), LFS)
  expect(await refusal(shard)).toMatch(/m-2.safetensors: is a Git LFS pointer/)
  const index = sharded()
  writeFileSync(join(index, 'model.safetensors.index.json'), LFS)
  expect(await refusal(index)).toMatch(/index.json: is a Git LFS pointer/)
})

test('a DVC pointer is known by its content', async () => {
  const file = join(temporaryFolder(), 'net.pt')
  writeFileSync(file, 'outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  size: 14445097\n  hash: md5\n  path: net.pt\n')
  expect(await refusal(file)).toMatch(/is a DVC pointer, not the weights\n.*`dvc pull`/)
})

test('a folder of pointers that hide the weights says what to fetch', async () => {
  const folder = temporaryFolder()
  writeFileSync(
    join(folder, 'model.safetensors.dvc'),
    'outs:\n- md5: 22a1a2931c8370d3aeedd7183606fd7f\n  path: model.safetensors\n',
  )
  expect(await refusal(folder)).toMatch(/only the DVC pointer model.safetensors.dvc\n.*`dvc pull`/)
})

test.each<[string, Record<string, string>, boolean]>([
  ['nothing', {}, true],
  ['the notes of a download, and configs', { '.gitattributes': '', 'config.json': '{}' }, true],
  [
    'an index without its shards',
    { 'model.safetensors.index.json': '{"weight_map":{"a":"m-1-of-2.safetensors"}}' },
    true,
  ],
  ['what a trainer keeps beside', { 'training_args.bin': '', 'optimizer.pt': '' }, true],
  ['weights that are not read', { 'flax_model.msgpack': '' }, false],
])('whether a folder is one that something should have filled: %s', async (_, files, isMissing) => {
  const folder = temporaryFolder()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const error = await openCheckpoint(folder).catch(error => error)
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error instanceof MissingCheckpointError).toBe(isMissing)
})

test.each([
  ['net-00001-of-00002.gguf', 'net-00002-of-00002.gguf', /is shard 1 of 2, a piece.*llama-gguf-split --merge/s],
  ['net_00000.weights.h5', 'net_00001.weights.h5', /is shard 0 of a Keras model.*save_weights/s],
])('pieces in a folder without an index say how to join them: %s', async (first, second, message) => {
  const folder = temporaryFolder()
  for (const name of [first, second]) writeFileSync(join(folder, name), 'x')
  expect(await refusal(folder)).toMatch(message)
})

test('refuses a folder without checkpoints, one with several, and what is no file at all', async () => {
  const empty = temporaryFolder()
  expect(await refusal(empty)).toMatch(/has no checkpoint in it/)
  writeSafetensors({ a: { shape: [2, 2] } }, 'a.safetensors', empty)
  writeSafetensors({ a: { shape: [2, 2] } }, 'b.safetensors', empty)
  expect(await refusal(empty)).toMatch(/has 2 files that may be the model, and no index: a.safetensors, b.safetensors/)
  expect(await refusal(join(empty, 'nothing.pt'))).toMatch(/nothing.pt: no such file or folder/)
  mkdirSync(join(empty, 'sub'))
  symlinkSync('/dev/null', join(empty, 'sub', 'model.safetensors'))
  expect(await refusal(join(empty, 'sub'))).toMatch(/neither a file nor a folder/)
})

/** A folder with these files, each a copy of a fixture, or empty. */
function folderOf(files: Record<string, string>): string {
  const folder = temporaryFolder()
  for (const [name, source] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), source ? readFileSync(join('test/fixtures/twins', source)) : '')
  }
  return folder
}

test.each<[string, Record<string, string>, string, string[]]>([
  [
    'what the framework loads, whatever lies beside it',
    {
      'model.safetensors': 'net.safetensors',
      'model.fp16.safetensors': 'net.safetensors',
      'extra.safetensors': 'net.safetensors',
    },
    'model.safetensors',
    ['extra.safetensors', 'model.fp16.safetensors'],
  ],
  [
    'safetensors before PyTorch before the others',
    {
      'config.json': '',
      'pytorch_model.bin': 'zip.pt',
      'model.safetensors': 'net.safetensors',
      'tf_model.h5': 'net.h5',
    },
    'model.safetensors',
    ['pytorch_model.bin', 'tf_model.h5'],
  ],
  [
    'pytorch_model.bin before safetensors of another name, as transformers does',
    { 'pytorch_model.bin': 'zip.pt', 'net.safetensors': 'net.safetensors' },
    'pytorch_model.bin',
    ['net.safetensors'],
  ],
  [
    'PyTorch before the others',
    { 'pytorch_model.bin': 'zip.pt', 'model.onnx': 'net.onnx' },
    'pytorch_model.bin',
    ['model.onnx'],
  ],
  ['the one file of another kind', { 'config.json': '', 'net.gguf': 'net.gguf' }, 'net.gguf', []],
  ['a Keras model', { 'tf_model.h5': 'net.h5', 'config.json': '' }, 'tf_model.h5', []],
  [
    'a diffusers component',
    { 'diffusion_pytorch_model.safetensors': 'net.safetensors' },
    'diffusion_pytorch_model.safetensors',
    [],
  ],
  [
    'a PEFT adapter',
    { 'adapter_model.safetensors': 'net.safetensors', 'adapter_config.json': '', 'optimizer.pt': 'zip.pt' },
    'adapter_model.safetensors',
    [],
  ],
  ['an old PEFT adapter', { 'adapter_model.bin': 'zip.pt', 'training_args.bin': 'zip.pt' }, 'adapter_model.bin', []],
  [
    'what a trainer leaves beside the weights is not the model',
    { 'net.ckpt': 'lightning.ckpt', 'optimizer.pt': 'zip.pt', 'rng_state_0.pth': 'zip.pt', 'scheduler.pt': 'zip.pt' },
    'net.ckpt',
    [],
  ],
  [
    'DeepSpeed, consolidated',
    { 'pytorch_model.bin': 'zip.pt', 'zero_to_fp32.py': '', 'global_step5/x': '' },
    'pytorch_model.bin',
    [],
  ],
])('%s', async (_, files, chosen, ignored) => {
  const folder = folderOf(files)
  const checkpoint = await openCheckpoint(folder)
  expect(new Set(checkpoint.tensors.map(({ source }) => source.path))).toEqual(new Set([join(folder, chosen)]))
  expect(checkpoint.tensors.filter(({ shape }) => shape.length > 1).length).toBeGreaterThanOrEqual(4)
  expect(checkpoint.ignored.filter(name => /\./.test(name) && name in files)).toEqual(ignored)
})

test.each<[string, Record<string, string>, RegExp]>([
  [
    'two of another kind',
    { 'a.onnx': 'net.onnx', 'b.gguf': 'net.gguf' },
    /has 2 files that may be the model.*a\.onnx, b\.gguf/,
  ],
  [
    'a Trainer’s folder',
    { 'checkpoint-500/x': '', 'checkpoint-1000/x': '' },
    /the latest checkpoint-1000\nName one of them: .*checkpoint-1000/,
  ],
  ['Flax', { 'flax_model.msgpack': '' }, /flax_model\.msgpack, which is not read/],
  ['only training state', { 'optimizer.pt': 'zip.pt', 'training_args.bin': 'zip.pt' }, /has no checkpoint in it/],
  [
    'DeepSpeed',
    { 'zero_to_fp32.py': '', 'global_step5/x': '', latest: '' },
    /DeepSpeed[\s\S]*python zero_to_fp32\.py \. out/,
  ],
  [
    'DeepSpeed’s inner folder',
    { 'mp_rank_00_model_states.pt': 'zip.pt', 'zero_pp_rank_0_mp_rank_00_optim_states.pt': '' },
    /DeepSpeed/,
  ],
  [
    'a diffusers pipeline',
    { 'model_index.json': '', 'unet/a.safetensors': '', 'vae/a.safetensors': '' },
    /in its folders unet, vae/,
  ],
  [
    'the Hub’s cache',
    { 'blobs/a.safetensors': '', 'refs/main': '', 'snapshots/1a2b/model.safetensors': '' },
    /repository in the cache of the Hub, with 1 of its revisions\n.*snapshots.1a2b/,
  ],
  ['Orbax', { _CHECKPOINT_METADATA: '', 'd/x': '' }, /Orbax[\s\S]*save_file/],
  ['a SavedModel', { 'saved_model.pb': '', 'variables/x': '' }, /SavedModel[\s\S]*tf2onnx/],
  [
    'TensorFlow',
    { 'm.index': '', 'm.data-00000-of-00001': '', checkpoint: '' },
    /checkpoint of TensorFlow[\s\S]*savez/,
  ],
  ['a shard alone', { 'model-00001-of-00002.safetensors': 'net.safetensors' }, /is shard 1 of 2/],
  ['FSDP’s ranks', { 'model_rank0.pt': 'zip.pt', 'model_rank1.pt': 'zip.pt' }, /holds the ranks' pieces/],
])('refuses %s', async (_, files, message) => {
  expect(await refusal(folderOf(files))).toMatch(message)
})

test.each([
  ['sharded-bin', 'pytorch_model.bin.index.json', 'pytorch_model-00001-of-00002.bin'],
  ['sharded-safetensors', 'model.safetensors.index.json', 'model-00001-of-00002.safetensors'],
])('%s: its index stands for the folder, one shard does not', async (name, index, shard) => {
  const folder = join('test/fixtures/twins', name)
  const [whole, named] = [await openCheckpoint(folder), await openCheckpoint(join(folder, index))]
  expect(named.tensors).toEqual(whole.tensors)
  expect(whole.tensors).toHaveLength(4)
  expect(await refusal(join(folder, shard))).toMatch(/is shard 1 of 2, a piece of a model\nName the folder/)
})

describe('in a workflow', () => {
  afterEach(() => vi.unstubAllEnvs())

  test('a link does not lead out of the workspace, whatever opens it', async () => {
    const [workspace, outside] = [temporaryFolder(), temporaryFolder()]
    const secret = writeSafetensors({ a: { shape: [2, 2] } }, 'secret.safetensors', outside)
    symlinkSync(secret, join(workspace, 'model.safetensors'))
    symlinkSync(outside, join(workspace, 'folder'))
    for (const path of [workspace, join(workspace, 'model.safetensors'), join(workspace, 'folder')]) {
      vi.stubEnv('GITHUB_WORKSPACE', workspace)
      expect(await refusal(path)).toMatch(/is a symbolic link that leads out of the workspace/)
      vi.stubEnv('GITHUB_WORKSPACE', undefined)
      expect(await refusal(path)).toBe('accepted')
    }
    vi.stubEnv('GITHUB_WORKSPACE', workspace)
    // Nor are names told of what is there.
    writeSafetensors({ a: { shape: [2, 2] } }, 'another.safetensors', outside)
    expect(await refusal(join(workspace, 'folder'))).not.toMatch(/secret|another/)
    expect(await refusal(secret)).toBe('accepted')
    symlinkSync(secret, join(workspace, 'base.json'))
    await expect(readReport(join(workspace, 'base.json'))).rejects.toThrow(/leads out of the workspace/)
    await expect(readCustomMetrics(join(workspace, 'base.json'))).rejects.toThrow(/leads out of the workspace/)
    await expect(readConfig(join(workspace, 'base.json'))).rejects.toThrow(/leads out of the workspace/)
  })

  test('a link within it may be followed, and so may the cache of the Hub', async () => {
    const workspace = temporaryFolder()
    mkdirSync(join(workspace, 'snapshots/1'), { recursive: true })
    mkdirSync(join(workspace, 'blobs'))
    writeSafetensors({ a: { shape: [2, 2] } }, 'abc', join(workspace, 'blobs'))
    symlinkSync('../../blobs/abc', join(workspace, 'snapshots/1/model.safetensors'))
    vi.stubEnv('GITHUB_WORKSPACE', workspace)
    expect(await refusal(join(workspace, 'snapshots/1'))).toBe('accepted')
    vi.stubEnv('GITHUB_WORKSPACE', temporaryFolder())
    expect(await refusal(join(workspace, 'snapshots/1'))).toBe('accepted')
  })
})

test('what is neither a file nor a folder is refused without waiting for it', async () => {
  const fifo = join(temporaryFolder(), 'fifo')
  execFileSync('mkfifo', [fifo])
  expect(await refusal(fifo)).toMatch(/is neither a file nor a folder/)
  expect(await refusal('/dev/zero')).toMatch(/is neither a file nor a folder/)
})

test('a checkpoint that changed after its headers were read is refused', async () => {
  const path = writeSafetensors({ a: { shape: [2, 2] } })
  const checkpoint = await openCheckpoint(path)
  await refuseChanged(checkpoint)
  utimesSync(path, new Date(), new Date(0))
  await expect(refuseChanged(checkpoint)).rejects.toThrow(/changed while it was being read/)
})

test('a file that takes the place of another with the same size and time is another', async () => {
  const path = writeSafetensors({ a: { shape: [2, 2] } })
  const time = new Date(0)
  utimesSync(path, time, time)
  const checkpoint = await openCheckpoint(path)
  const other = writeSafetensors({ a: { shape: [2, 2], values: [1, 2, 3, 4] } })
  utimesSync(other, time, time)
  renameSync(other, path)
  await expect(refuseChanged(checkpoint)).rejects.toThrow(/changed while it was being read/)
})

/** A change that leaves size and time as they were. */
function replace(path: string, from: string, to: string): void {
  const time = new Date(0)
  writeFileSync(path, readFileSync(path, 'utf8').replace(from, to))
  utimesSync(path, time, time)
}

describe('what says how weights are to be read is another once it was changed, with its size and time', () => {
  const I32 = (shape: number[]): Written => ({ dtype: 'I32', shape, values: new Uint8Array(4 * shape[0] * shape[1]) })
  const gptq = { 'l.qweight': I32([8, 16]), 'l.qzeros': I32([2, 2]), 'l.scales': { shape: [2, 16] } }
  const lora = { 'l.lora_A.weight': { shape: [2, 8] }, 'l.lora_B.weight': { shape: [8, 2] } }
  const plain = { w: { shape: [8, 8] } }

  test.each<[string, string, Record<string, Written>, string, string]>([
    [
      'an index of shards',
      'model.safetensors.index.json',
      plain,
      '{"a": 1, "weight_map": {"w": "model.safetensors"}}',
      '1',
    ],
    ['config.json', 'config.json', gptq, '{"a": 1, "quantization_config": {}}', '1'],
    ['quantize_config.json', 'quantize_config.json', gptq, '{"a": 1}', '1'],
    [
      'adapter_config.json',
      'adapter_config.json',
      lora,
      '{"peft_type": "LORA", "lora_alpha": 1, "target_modules": ".*"}',
      '1',
    ],
  ])('%s', async (_, name, tensors, text, digit) => {
    const folder = temporaryFolder()
    renameSync(writeSafetensors(tensors), join(folder, 'model.safetensors'))
    const path = join(folder, name)
    writeFileSync(path, text)
    utimesSync(path, new Date(0), new Date(0))
    const index = name.endsWith('index.json')
    const checkpoint = await openCheckpoint(index ? path : folder)
    await refuseChanged(checkpoint)
    expect(checkpoint.stamps.map(({ path }) => path)).toContain(path)
    replace(path, digit, '2')
    await expect(refuseChanged(checkpoint)).rejects.toThrow(`${name}: changed while it was being read`)
  })

  test('config.json, which is read for the heads of attention', async () => {
    const path = writeSafetensors(plain)
    const config = join(path, '..', 'config.json')
    writeFileSync(config, '{"model_type": "gpt2", "n_head": 2}')
    utimesSync(config, new Date(0), new Date(0))
    const checkpoint = await openCheckpoint(path)
    expect(await readAttention(checkpoint)).toMatchObject({ heads: 2 })
    await refuseChanged(checkpoint)
    replace(config, '2', '4')
    await expect(refuseChanged(checkpoint)).rejects.toThrow('config.json: changed while it was being read')
  })
})

describe('a piece of a model by itself', () => {
  test.each([
    'model-00001-of-00002.safetensors',
    'model-00001-of-000163.safetensors',
    'model_00001-of-00002.safetensors',
    'model.00001-of-00002.safetensors',
    'model-1-of-61.safetensors',
    'pytorch_model-00001-of-00002.fp16.bin',
    'model-rank-0-part-0.safetensors',
    'pytorch_model-TP-000.bin',
    'model_00000.weights.h5',
    'layer_03-model_00-model_states.pt',
  ])('%s is refused', async name => {
    expect(await refusal(join(folderOf({ [name]: 'net.safetensors' }), name))).toMatch(/a piece of a model/)
  })

  test.each([
    'model-00001-of-00001.safetensors',
    'lora-rank-16.safetensors',
    'part.safetensors',
    'epoch_00012.weights.h5',
  ])('%s is none', async name => {
    expect(await refusal(join(folderOf({ [name]: 'net.safetensors' }), name))).toBe('accepted')
  })

  test('one of several that Llama’s own layout has, and TensorFlow’s data, are pieces; the first alone is the model', async () => {
    const folder = folderOf({ 'consolidated.00.pth': 'zip.pt', 'consolidated.01.pth': 'zip.pt' })
    expect(await refusal(join(folder, 'consolidated.00.pth'))).toMatch(/a piece of a model/)
    const alone = folderOf({
      'consolidated.00.pth': 'zip.pt',
      'mp_rank_00_model_states.pt': 'zip.pt',
      'm.data-00000-of-00001': '',
    })
    expect(await refusal(join(alone, 'consolidated.00.pth'))).toBe('accepted')
    expect(await refusal(join(alone, 'mp_rank_00_model_states.pt'))).toBe('accepted')
    expect(await refusal(join(alone, 'm.data-00000-of-00001'))).toMatch(/checkpoint of TensorFlow/)
  })

  test('what an index beside it lists is one, whatever it is called', async () => {
    const folder = sharded()
    expect(await refusal(join(folder, 'm-1.safetensors'))).toMatch(/a shard that model\.safetensors\.index\.json lists/)
  })

  test('slices that torch.distributed.checkpoint wrote are refused', async () => {
    const header = { __metadata__: { DCP_SHARDING_INFO: '{}' }, w: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }
    const json = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(json.length))
    const path = join(temporaryFolder(), 'a.safetensors')
    writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(1)]))
    expect(await refusal(path)).toMatch(/slices of the tensors \(DCP_SHARDING_INFO\)\n.*consolidate/)
  })
})

test('shards of a variant are read through its index, by the folder and by its name', async () => {
  const folder = temporaryFolder()
  writeSafetensors({ a: { shape: [2, 2] } }, 'm.fp16-00001-of-00002.safetensors', folder)
  writeSafetensors({ b: { shape: [2] } }, 'm.fp16-00002-of-00002.safetensors', folder)
  const index = join(folder, 'm.safetensors.index.fp16.json')
  const map = { a: 'm.fp16-00001-of-00002.safetensors', b: 'm.fp16-00002-of-00002.safetensors' }
  writeFileSync(index, JSON.stringify({ weight_map: map }))
  for (const path of [folder, index]) {
    expect((await openCheckpoint(path)).tensors.map(({ name }) => name)).toEqual(['a', 'b'])
  }
})

test("macOS's notes beside the files are not looked at", async () => {
  const folder = folderOf({ '._net.safetensors': '', '.DS_Store': '', 'net.safetensors': 'net.safetensors' })
  expect(await refusal(folder)).toBe('accepted')
})

const le = (...bytes: number[]) => String.fromCharCode(...bytes)
const HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }\n"
const ARRAY = `${le(0x93)}NUMPY${le(1, 0, HEADER.length, 0)}${HEADER}${le(0).repeat(16)}`

test.each<[string, string, RegExp]>([
  ['TensorFlow Lite', `${le(28, 0, 0, 0)}TFL3`, /TensorFlow Lite[\s\S]*convert/],
  ['ExecuTorch', `${le(32, 0, 0, 0)}ET12`, /ExecuTorch[\s\S]*torch\.save/],
  ['ONNX Runtime', `${le(20, 0, 0, 0)}ORTM`, /ONNX Runtime/],
  ['GGML', `tjgg${le(3, 0, 0, 0)}`, /GGML[\s\S]*convert/],
  ['MATLAB', 'MATLAB 5.0 MAT-file Platform: posix', /MATLAB's file[\s\S]*savez/],
  ['TensorFlow’s note', 'model_checkpoint_path: "m"\n', /TensorFlow's note/],
  ['macOS’s note', `${le(0, 5, 22, 7, 0, 2, 0, 0)}`, /macOS/],
  ['a pickle', `${le(0x80, 4, 0x95)}data`, /is a pickle, and none that torch\.save wrote\nNothing of it was run/],
  ['joblib', `${le(0x80, 4)}sklearn.linear_model`, /scikit-learn and joblib/],
  ['PaddlePaddle', `${le(0x80, 4)}StructuredToParameterName@@`, /PaddlePaddle/],
  ['msgpack', `${le(0x81, 0xa6)}params${le(0x81)}`, /flax's msgpack[\s\S]*save_file/],
  ['Core ML', `${le(8, 4, 0x12, 32, 10, 14)}input`, /Core ML/],
  ['a SavedModel', `${le(8, 1, 0x12, 32, 10, 14)}stripped_op_list`, /SavedModel[\s\S]*tf2onnx/],
  ['a frozen graph', `${le(10, 30, 10, 1)}x${le(0x12, 11)}Placeholder`, /GraphDef[\s\S]*tf2onnx/],
  ['zlib', `${le(0x78, 0x9c)}xxxxxxx`, /zlib, as joblib/],
  ['xz', `${le(0xfd)}7zXZ${le(0)}`, /is compressed/],
  ['Equinox', `${ARRAY}${ARRAY}`, /arrays one after the other[\s\S]*numpy\.savez/],
  ['Equinox, with its hyperparameters', `{"lr": 0.1}\n${ARRAY}${ARRAY}`, /Equinox/],
])('a file of %s is named, with what to do', async (_, content, message) => {
  const path = join(temporaryFolder(), 'model')
  writeFileSync(path, Buffer.from(content.padEnd(64, le(0)), 'latin1'))
  expect(await refusal(path)).toMatch(message)
})

test('views that make gigabytes of a few bytes are refused together', async () => {
  const view = (i: number) => tensor({ shape: [4096 - i, 4096], strides: [0, 0] })
  const views = dict(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`w${i}`, view(i)])))
  const path = join(temporaryFolder(), 'model.pt')
  writeFileSync(path, makeZip(archive(views, Buffer.alloc(16))))
  await expect(openCheckpoint(path)).rejects.toThrow(/its tensors have more than \d+ bytes, of the \d+ that are stored/)
})

test('what two frameworks would each load another file of is refused', async () => {
  const folder = temporaryFolder()
  for (const name of ['model', 'diffusion_pytorch_model'])
    writeSafetensors({ w: { shape: [2, 2] } }, `${name}.safetensors`, folder)
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ _class_name: 'X', model_type: 'bert' }))
  await expect(openCheckpoint(folder)).rejects.toThrow(/with the keys of diffusers and of transformers/)
})

test('a module that is no transformer has no adapter', async () => {
  const folder = modular(['2_Dense'], ['', '2_Dense'])
  writeSafetensors({ other: { shape: [2, 2] } }, 'adapter_model.safetensors', join(folder, '2_Dense'))
  writeFileSync(join(folder, '2_Dense/adapter_config.json'), '{}')
  const { tensors } = await openCheckpoint(folder)
  expect(tensors.map(({ name }) => name)).toEqual(['a', '2_Dense.linear.weight'])
})

test.each(['adapter_model.safetensors', 'diffusion_pytorch_model.bin'])(
  'a distributed checkpoint beside %s is not what is loaded',
  async name => {
    const folder = temporaryFolder()
    cpSync('test/fixtures/distributed/dcp', folder, { recursive: true })
    if (name.endsWith('.bin')) copyFileSync('test/fixtures/twins/zip.pt', join(folder, name))
    else writeSafetensors({ w: { shape: [2, 2] } }, name, folder)
    expect((await openCheckpoint(folder)).format).not.toBe('torch-distributed')
  },
)

describe('what configs say of the weights beside them', () => {
  const folderOf = (configs: Record<string, unknown>, ...files: string[]) => {
    const folder = temporaryFolder()
    for (const [name, json] of Object.entries(configs)) writeFileSync(join(folder, name), JSON.stringify(json))
    for (const [i, name] of files.entries()) writeSafetensors({ [`w${i}`]: { shape: [2, 2] } }, name, folder)
    return folder
  }
  const [model, adapter, part] = ['model', 'adapter_model', 'diffusion_pytorch_model'].map(n => `${n}.safetensors`) as [
    string,
    string,
    string,
  ]
  test.each<[string, Record<string, unknown>, string[], number]>([
    ['transformers_weights', { 'config.json': { transformers_weights: 'x.safetensors' } }, [model, 'x.safetensors'], 1],
    ["PEFT's config", { 'adapter_config.json': {} }, [model, adapter, part], 1],
    ['no config of PEFT', { 'config.json': {} }, [model, adapter, part], 0],
    ['a class of diffusers', { 'config.json': { _class_name: 'UNet2DConditionModel' } }, [model, part], 1],
    ['a version of diffusers', { 'config.json': { _diffusers_version: '0.30' } }, [model, part], 1],
    ['a config that says nothing', { 'config.json': { transformers_weights: 1, _class_name: null } }, [model, part], 0],
    ['an adapter that is not there', { 'adapter_config.json': {} }, [model], 0],
    ["an adapter's pickle", { 'adapter_config.json': {} }, [model, 'adapter_model.bin'], 1],
    ["a pipeline's pickle", { 'config.json': { _class_name: 'X' } }, [model, 'diffusion_pytorch_model.bin'], 1],
    [
      'a class of diffusers beside all others',
      { 'config.json': { _class_name: 'X', transformers_weights: adapter }, 'adapter_config.json': {} },
      [model, adapter, part],
      2,
    ],
    [
      "PEFT's config beside transformers_weights",
      { 'config.json': { transformers_weights: model }, 'adapter_config.json': {} },
      [model, adapter],
      1,
    ],
    ["transformers' pickle", { 'config.json': {} }, [part, adapter, 'pytorch_model.bin'], 2],
  ])('%s', async (_, configs, files, wanted) => {
    const { tensors, stamps } = await openCheckpoint(folderOf(configs, ...files))
    expect(tensors.map(({ name }) => name)).toEqual([`w${wanted}`])
    if ('config.json' in configs) expect(stamps.map(({ path }) => path).join()).toContain('config.json')
  })

  test.each<[string, unknown, string]>([
    ['model', {}, 'whole'],
    ['diffusion_pytorch_model', { _class_name: 'UNet2DConditionModel' }, 'shard'],
    ['diffusion_pytorch_model', {}, 'shard'],
  ])('%s with its shards and in one file, %j: %s', async (stem, config, wanted) => {
    const folder = folderOf({ 'config.json': config })
    writeSafetensors({ whole: { shape: [2, 2] } }, `${stem}.safetensors`, folder)
    writeSafetensors({ shard: { shape: [2, 2] } }, `${stem}-00001-of-00001.safetensors`, folder)
    const index = { weight_map: { shard: `${stem}-00001-of-00001.safetensors` } }
    writeFileSync(join(folder, `${stem}.safetensors.index.json`), JSON.stringify(index))
    expect((await openCheckpoint(folder)).tensors.map(({ name }) => name)).toEqual([wanted])
  })

  test.each(['gone.safetensors', '../x.safetensors', '/etc/passwd'])(
    'a file that is not in the folder: %s',
    async name => {
      expect(await refusal(folderOf({ 'config.json': { transformers_weights: name } }, model))).toContain(
        `has a config.json that names its weights (transformers_weights): "${name}", which is not in it`,
      )
    },
  )
})
