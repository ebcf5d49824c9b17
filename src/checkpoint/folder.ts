import { readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { CheckpointError, MissingCheckpointError, quoted } from '../errors.ts'
import { limits } from '../limits.ts'
import { foreignFolder } from './foreign.ts'
import { field, isOfTransformers, Relatives } from './quantised/family.ts'
import { type Expectation, isShardIndex, readShardIndex, refuseShard, shardsOf } from './shards.ts'
import { METADATA } from './torch/dcp.ts'
import { distributedFolder } from './torch/distributed.ts'
import type { Stamp } from './types.ts'

/** What a folder's weights are read from, and which other weights in it are not looked at. */
export interface Found {
  readonly files: string[]
  readonly expected?: Expectation
  /** Of what says so. */
  readonly stamps?: readonly Stamp[]
  readonly ignored: string[]
  /** Weights of further modules, whose names get the module's in front. */
  readonly modules?: readonly Module[]
}

/** One of sentence-transformers' modules: its path in the folder, and its weights. */
interface Module {
  readonly module: string
  readonly files: readonly string[]
  readonly expected: Expectation | undefined
}

/** What diffusers calls the weights of a part of a pipeline. */
const PIPELINES = 'diffusion_pytorch_model'
/** What transformers and accelerate call a model that is no safetensors. */
const PICKLE = 'pytorch_model.bin'
/** Names that transformers, diffusers and PEFT give to a model, in the order in which we look for them. */
const STEMS = ['model', PIPELINES, 'adapter_model']

/** Files that may hold weights, in any format. */
const WEIGHTS =
  /\.(safetensors|bin|pt|pth|pth\.tar|th|ckpt|h5|hdf5|keras|onnx|onnx\.gz|gguf|npz|msgpack|distcp)$|\.index(\.[\w-]+)?\.json$/i
/** What a trainer leaves beside them. */
const STATE =
  /^(training_args|optimizer|optim|scheduler|scaler|sampler|trainer_state|rng_state|random_states|loss_and_metrics)(?![a-z])|_(states|optim)\.(pt|bin)$/i

/**
 * The files of a folder as its framework would read it, with those of the modules that sentence-transformers' modules.json lists: none
 * of the folder itself where no module keeps its weights there.
 * @throws CheckpointError where there is none, or more than one model
 */
export async function findInFolder(path: string): Promise<Found> {
  const stamps: Stamp[] = []
  const { modules, ignored, isRoot } = await modulesIn(path, stamps)
  if (modules.length === 0) return findModel(path)
  const found =
    isRoot || (await readdir(path)).some(isWeights) ? await findModel(path) : { files: [], ignored: [], stamps: [] }
  return { ...found, modules, stamps: [...(found.stamps ?? []), ...stamps], ignored: [...found.ignored, ...ignored] }
}

/** A module as a config lists it. */
interface Listed {
  /** Its folder. */
  readonly module: string
  readonly type: string
  /** The config. */
  readonly file: string
}

/**
 * Weights that lie in folders of their own, each once, in the order of modules.json; of a Router, or an Asym as it was called, those of
 * its routes, which lie below it. Source: sentence_transformers/base/modules/router.py.
 * @throws CheckpointError where it lists too many, one outside its folder, or one that is not there
 */
async function modulesIn(
  path: string,
  stamps: Stamp[],
): Promise<{ readonly modules: Module[]; readonly ignored: string[]; readonly isRoot: boolean }> {
  const file = join(path, MODULES)
  const listed = await new Relatives([], stamps).config(file, MODULES)
  const most = limits.folder.modulesCount
  // Others may have a file of that name.
  const wanted: Listed[] = (Array.isArray(listed) ? listed : []).flatMap(one => {
    const [path, type] = [field(one, 'path'), field(one, 'type')]
    return typeof path === 'string' && typeof type === 'string' ? [{ module: folderOf(path), type, file }] : []
  })
  const different = new Set<string>()
  const [modules, ignored]: [Module[], string[]] = [[], []]
  let isRoot = false
  // Routes are put at its end.
  for (const one of wanted) {
    const { module } = one
    if (posix.isAbsolute(module) || module.split('/').includes('..')) {
      const remedy = 'Put the module into the folder, and its path in modules.json.'
      throw new CheckpointError(one.file, `names the module ${quoted(module)}, which lies outside its folder`, remedy)
    }
    if (different.size === different.add(module).size) continue
    if (different.size > most) throw new CheckpointError(file, `lists ${different.size} modules, more than ${most}`)
    const routes = await routesOf(path, one, stamps)
    wanted.push(...routes.slice(0, most + 1))
    if (module === '.') isRoot ||= routes.length === 0
    if (module === '.' || routes.length > 0) continue
    const found = await weightsOf(join(path, module), one)
    if (!found) continue
    const { files, expected, stamps: read = [] } = found
    stamps.push(...read)
    ignored.push(...found.ignored.map(name => posix.join(module, name)))
    modules.push({ module, files, expected })
  }
  return { modules, ignored, isRoot }
}

function folderOf(path: string): string {
  return posix.normalize(path || '.').replace(/(?<=.)\/$/, '')
}

/** What a Router keeps in folders of its own. */
async function routesOf(path: string, { module, type }: Listed, stamps: Stamp[]): Promise<Listed[]> {
  const configs = [ROUTES, ...(/(?:^|\.)(?:Router|Asym)$/.test(type) ? ['config.json'] : [])]
  for (const name of configs) {
    const file = join(path, module, name)
    const types = field(await new Relatives([], stamps).config(file, name), 'types')
    if (typeof types !== 'object' || types === null) continue
    return Object.entries(types).map(([id, type]) => ({
      module: folderOf(posix.isAbsolute(id) ? id : posix.join(module, id)),
      type: String(type),
      file,
    }))
  }
  return []
}

/**
 * Of a folder in which a module may have weights.
 * @throws CheckpointError where it has to, and has none
 */
async function weightsOf(folder: string, { module, type, file }: Listed): Promise<Found | undefined> {
  const names = await readdir(folder).catch(() => undefined)
  const isOfTransformers = /(?:^|\.)\w*(?:Transformer|CLIPModel)$/.test(type)
  if (names?.some(isWeights)) return findModel(folder, { isPlain: !isOfTransformers })
  if (!isOfTransformers && !/(?:^|\.)Dense$/.test(type)) return undefined
  if (names) throw await nothing(folder, names)
  throw new CheckpointError(
    file,
    `names the module ${quoted(module)}, which is not there`,
    'Fetch its folder: was the download complete?',
  )
}

/** Whether a file is called as weights are, or as their index. */
export function isWeights(name: string): boolean {
  return WEIGHTS.test(name) && !STATE.test(name) && !name.startsWith('._')
}

/** Whether what is read of a folder may depend on a file of such a path being there. */
export function isLookedAt(path: string): boolean {
  const name = posix.basename(path)
  return isWeights(name) || isConfig(name) || name === MODULES || name === METADATA
}

function isConfig(name: string): boolean {
  return name.includes('config') && name.endsWith('.json')
}

const ROUTES = 'router_config.json'
const MODULES = 'modules.json'

/**
 * The files of a folder as its framework would read it. Several formats of the same weights are one model: safetensors come first,
 * then PyTorch's, then the one file of any other kind; under the name that its framework looks for before any other.
 * @param isPlain whether it is loaded by these names alone, whatever configs lie there
 * @throws CheckpointError where there is none, or more than one model
 */
async function findModel(path: string, { isPlain = false } = {}): Promise<Found> {
  const entries = await readdir(path, { withFileTypes: true })
  // macOS keeps notes beside files of file systems that are not its own.
  const names = entries
    .map(({ name }) => name)
    .filter(name => !name.startsWith('._'))
    .sort()
  const weights = names.filter(isWeights)
  const single = (name: string): Found => ({
    files: [join(path, name)],
    stamps,
    ignored: weights.filter(other => other !== name),
  })
  const sharded = async (index: string): Promise<Found> => {
    const { files, expected, stamps: read = [] } = await readShardIndex(path, index, names)
    const used = new Set([join(path, index), ...files])
    return {
      files,
      expected,
      stamps: [...stamps, ...read],
      ignored: weights.filter(other => !used.has(join(path, other))),
    }
  }

  const stamps: Stamp[] = []
  const further = names.filter(name => /^(?:model_\d+\.safetensors|pytorch_model_\d+\.bin)$/.test(name))
  if (further.length > 0) {
    const shards = await Promise.all(names.filter(isShardIndex).map(index => shardsOf(join(path, index))))
    const models = further.filter(name => !shards.some(listed => listed.has(name)))
    // Accelerate's save_state writes one for each model that it trains.
    const first = conventionalIn(names)
    if (models.length > 0 && first.length > 0) throw several(path, [...first, ...models])
  }
  const { explicit, stems } = isPlain ? { stems: ['model'] } : await byConfig(path, names, stamps)
  if (explicit !== undefined) return isShardIndex(explicit) ? sharded(explicit) : single(explicit)
  refuseEither(path, names)
  const known = stems.flatMap(conventionalOf).filter(name => names.includes(name))
  const variants = weights.filter(name => isShardIndex(name) && /\.bin\.index\./.test(name) && !known.includes(name))
  // Of several of other names nobody knows which, but beside the one that the framework loads they do not count.
  for (const candidates of [() => known, () => unconventional(path, weights), () => variants]) {
    const [first] = candidates()
    if (first !== undefined) return isShardIndex(first) ? sharded(first) : single(first)
  }
  const distributed = distributedFolder(path, names) ?? foreignFolder(names)
  if (distributed) throw new CheckpointError(path, distributed.found, distributed.remedy)
  const others = weights.filter(name => !/\.(safetensors|msgpack|distcp|json)$/i.test(name))
  if (others.length === 1) return single(others[0])
  // Of pieces without an index one says how to join them.
  if (others.length > 1 && /\.(?:gguf|h5)$/i.test(others[0])) await refuseShard(join(path, others[0]))
  if (others.length > 1) throw several(path, others)
  throw await nothing(path, names)
}

/**
 * What the configs of a folder say of its weights: one with diffusers' keys is a part of a pipeline, and one with PEFT's
 * adapter_config.json an adapter to it and to transformers, whatever else lies there; transformers' `transformers_weights` names their file.
 * @throws CheckpointError where the file that is named is not there, or two frameworks would take others
 */
async function byConfig(
  path: string,
  names: readonly string[],
  stamps: Stamp[],
): Promise<{ explicit?: string; stems: readonly string[] }> {
  const relatives = new Relatives([], stamps)
  const config = names.includes('config.json') && (await relatives.config(join(path, 'config.json'), 'config.json'))
  const isPipeline = ['_class_name', '_diffusers_version'].some(key => typeof field(config, key) === 'string')
  if (isPipeline) {
    const stems = withFirst(PIPELINES)
    const [first, other] = stems.filter(stem => conventionalOf(stem).some(name => names.includes(name)))
    if (!isOfTransformers(config) || other === undefined) return { stems }
    throw new CheckpointError(
      path,
      `has ${first} and ${other}, and a config.json with the keys of diffusers and of transformers, each of which loads one of them`,
      'Remove the one that is not meant, or name the file.',
    )
  }
  if (names.includes('adapter_config.json')) return { stems: withFirst('adapter_model') }
  const explicit = field(config, 'transformers_weights')
  if (typeof explicit === 'string') {
    if (names.includes(explicit) && WEIGHTS.test(explicit)) return { explicit, stems: STEMS }
    throw new CheckpointError(
      path,
      `has a config.json that names its weights (transformers_weights): ${quoted(explicit)}, which is not in it`,
      'Put the file there, or name the checkpoint itself.',
    )
  }
  return { stems: STEMS }
}

function withFirst(stem: string): string[] {
  return [stem, ...STEMS.filter(other => other !== stem)]
}

/**
 * Transformers, which takes safetensors, knows a model by its config, and so do those that build on it. Without one, accelerate's
 * load_checkpoint_in_model takes pytorch_model.bin and its load_state model.safetensors.
 * @throws CheckpointError where both are there, and no config
 */
function refuseEither(path: string, names: readonly string[]): void {
  const [first, ...others] = conventionalIn(names)
  if (first === undefined || !others.includes(PICKLE)) return
  if (names.some(name => isConfig(name) || name === MODULES)) return
  throw new CheckpointError(
    path,
    `has ${first} and ${PICKLE}, of which accelerate loads the one or the other, and no config.json`,
    'Remove the one that is not meant, or name the file.',
  )
}

/**
 * What may hold a model of such a name, in the order in which its framework takes it: transformers one file before shards, diffusers
 * shards of safetensors before one file (diffusers/models/modeling_utils.py), all of them safetensors before pickles.
 */
function conventionalOf(stem: string): string[] {
  const [safetensors, pickle] = [`${stem}.safetensors`, stem === 'model' ? PICKLE : `${stem}.bin`]
  const one = [safetensors, `${safetensors}.index.json`]
  return [...(stem === PIPELINES ? one.reverse() : one), pickle, `${pickle}.index.json`]
}

/** Whether transformers, diffusers or PEFT calls a model so. */
export function isConventional(name: string): boolean {
  return STEMS.some(stem => conventionalOf(stem).includes(name))
}

/** As transformers and accelerate call their model, or its shards' index. */
function conventionalIn(names: readonly string[]): string[] {
  return conventionalOf('model').filter(name => names.includes(name))
}

/** The one safetensors file or index of another name. */
function unconventional(path: string, weights: readonly string[]): string[] {
  const indices = weights.filter(name => isShardIndex(name) && name.includes('.safetensors.index.'))
  if (indices.length > 1) {
    throw new CheckpointError(
      path,
      `has ${indices.length} shard indices: ${list(indices)}`,
      'Name the one that is meant.',
    )
  }
  if (indices.length === 1) return indices
  const files = weights.filter(name => name.endsWith('.safetensors'))
  if (files.length > 1) throw several(path, files)
  return files
}

function several(path: string, files: readonly string[]): CheckpointError {
  return new CheckpointError(
    path,
    `has ${files.length} files that may be the model, and no index: ${list(files)}`,
    'Shards need their index (model.safetensors.index.json); separate models are named file by file.',
  )
}

async function nothing(path: string, names: readonly string[]): Promise<CheckpointError> {
  const pointer = names.find(name => name.endsWith('.dvc'))
  if (pointer) {
    return new MissingCheckpointError(
      path,
      `has no weights in it, only the DVC pointer ${pointer}`,
      'Run `dvc pull` before this step.',
    )
  }
  const earlier = names.filter(name => STEP.test(name)).sort((a, b) => stepOf(a) - stepOf(b))
  if (earlier.length > 0) {
    const latest = earlier[earlier.length - 1]
    return new CheckpointError(
      path,
      `has no weights in it, but ${earlier.length} checkpoints of a run, the latest ${latest}`,
      `Name one of them: ${join(path, latest)}`,
    )
  }
  // The cache of the Hugging Face Hub keeps files under their digests, and links to them by their names.
  const snapshots = names.includes('blobs') && names.includes('snapshots') ? join(path, 'snapshots') : undefined
  const cached = snapshots && (await withWeights(snapshots, await readdir(snapshots).catch((): string[] => [])))
  if (snapshots && cached?.length) {
    return new CheckpointError(
      path,
      `is a repository in the cache of the Hub, with ${cached.length} of its revisions`,
      `Name the one that is meant: ${join(snapshots, cached[0])}`,
    )
  }
  const below = await withWeights(path, names)
  if (below.length > 0) {
    return new CheckpointError(
      path,
      `has no weights in it, but in its folders ${list(below)}`,
      `Name each model that is meant: ${join(path, below[0])}`,
    )
  }
  if (names.includes('flax_model.msgpack')) {
    return new CheckpointError(
      path,
      'has its weights in flax_model.msgpack, which is not read',
      'Save them with save_pretrained(…, safe_serialization=True) of the PyTorch model.',
    )
  }
  // What a download that failed leaves: nothing, its own notes, configs alone, or what trainers keep beside.
  const Absent = names.some(isWeights) ? CheckpointError : MissingCheckpointError
  return new Absent(
    path,
    'has no checkpoint in it',
    'Looked for model.safetensors, pytorch_model.bin, their shards with an index, adapter_model.safetensors, or a single file of any kind that is read. Name the file itself if it is called otherwise.',
  )
}

/** What trainers call the folders of their checkpoints. */
const STEP = /^(?:checkpoint|ckpt|step|epoch|iter|global_step)[-_]?(\d+)$/

function stepOf(name: string): number {
  return Number(STEP.exec(name)?.[1])
}

/** The folders in a folder that have weights in them directly. */
async function withWeights(path: string, names: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const name of names.slice(0, limits.folder.entriesCount)) {
    const inner = await readdir(join(path, name)).catch((): string[] => [])
    if (inner.some(isWeights)) found.push(name)
  }
  return found
}

function list(names: readonly string[]): string {
  return names.length > 5 ? `${names.slice(0, 5).join(', ')}, …` : names.join(', ')
}
