import { createHash } from 'node:crypto'
import { basename, resolve } from 'node:path'
import { portable } from '../bytes/portable.ts'
import { readAttention } from '../checkpoint/attention.ts'
import { type Checkpoint, openCheckpoint, refuseChanged } from '../checkpoint/index.ts'
import type { Tensor } from '../checkpoint/types.ts'
import { CheckpointError, LayerError } from '../errors.ts'
import { independent } from '../layers/followers.ts'
import { type Plan, type PlannedLayer, type PlannedSkip, planLayers } from '../layers/select.ts'
import { type Shard, shardPositions } from '../layers/shard.ts'
import { type Bootstrap, bootstrapCost } from '../metrics/bootstrap.ts'
import { distancesBetween } from '../metrics/distances.ts'
import { windowsOf } from '../metrics/farms.ts'
import { bootstrapOf, errorRow, type Findings, layerMetrics, sameRow, spectralNormRow } from '../metrics/layer.ts'
import { REPLICAS } from '../metrics/randomised.ts'
import { structure } from '../metrics/structure.ts'
import { aggregates } from '../metrics/summary.ts'
import type { OnProgress } from '../progress.ts'
import { cost, type Recipe } from '../recipe/recipe.ts'
import { factorsOf, shuffle, tensorsOf } from '../recipe/values.ts'
import type { AnalysisOptions, Layer, Model, Skipped } from '../report/schema.ts'
import { RANDOM_LIKE } from '../report/state.ts'
import { type Engine, fingerprint, noiseFloor, type Scan, type Spectrum } from '../spectrum/engine.ts'
import { normCost } from '../spectrum/resident.ts'
import { againstBase, mergedWithBase, openBase, recipesBeside } from './against-base.ts'

/** A checkpoint to analyse. `name` is the model's name in the report: from the file's name where it is not given. */
export interface Source {
  readonly path: string
  readonly name?: string | undefined
  readonly stateDict?: string | undefined
}

export interface AnalyseContext {
  readonly engine: Engine
  readonly options: AnalysisOptions
  /** A checkpoint whose weights are subtracted. */
  readonly baseModel?: string | undefined
  /** Rows by fingerprint that need not be computed again; null where everything has to be. */
  readonly known: ReadonlyMap<string, Layer> | null
  readonly onProgress?: OnProgress | undefined
  /** Told which files a checkpoint is read from, before any weight is. */
  readonly onFiles?: ((paths: readonly string[]) => Promise<void>) | undefined
}

/**
 * From a checkpoint to a model of the report: every layer's metrics and the summary.
 * @throws CheckpointError where the checkpoint can't be read, or none of its tensors qualifies as a layer
 */
export async function analyse(source: Source, context: AnalyseContext): Promise<Model> {
  return (await analyseShard(source, context, { index: 1, of: 1 })).model
}

/** A model with some of its layers, and where they stand among all. */
export interface ModelPart {
  readonly model: Model
  readonly layers: number
  readonly positions: number[]
}

/** As `analyse`, of the layers of one shard alone. The summary is of these. */
export async function analyseShard(source: Source, context: AnalyseContext, shard: Shard): Promise<ModelPart> {
  const checkpoint = await openCheckpoint(source.path, { stateDict: source.stateDict })
  await context.onFiles?.(checkpoint.stamps.map(({ path }) => path))
  const scan = memoise(context.engine)
  const base = context.baseModel === undefined ? undefined : await openBase(context.baseModel)
  await context.onFiles?.(base?.stamps.map(({ path }) => path) ?? [])
  const plan = await planWith(checkpoint, base, context.options, scan)
  if (plan.layers.length === 0) throw nothingToAnalyse(checkpoint, plan)
  const positions = shardPositions(
    // What can't be read costs nothing, and may have no matrix.
    plan.layers.map(({ recipe, broken }) => (broken === undefined ? cost(recipe) : 0)),
    shard,
  )
  const [layers, skipped] = await Promise.all([
    analyseLayers(
      positions.map(i => plan.layers[i]),
      context,
      scan,
    ),
    Promise.all(plan.skipped.map(skip => scanSkipped(skip, context.engine))),
  ])
  await refuseChanged(checkpoint)
  if (base) await refuseChanged(base)
  const model = {
    name: source.name ?? modelName(source.path),
    source: {
      path: portable(source.path),
      format: checkpoint.format,
      bytes: checkpoint.bytes,
      ...(checkpoint.stateDict && { state_dict: checkpoint.stateDict }),
      ...checkpoint.moment,
      ...(checkpoint.settings && { settings: [...checkpoint.settings] }),
      ...(checkpoint.ignored.length > 0 && { ignored: checkpoint.ignored.slice(0, 1000) }),
    },
    layers,
    skipped,
    ...(plan.whole.length > 0 && { whole: [...plan.whole] }),
    ...aggregates(layers, skipped),
  }
  return { model, layers: plan.layers.length, positions }
}

async function planWith(
  checkpoint: Checkpoint,
  base: Checkpoint | undefined,
  options: AnalysisOptions,
  scan: (tensor: Tensor) => Promise<Scan>,
): Promise<Plan> {
  if (!base) return planOf(checkpoint, options)
  if (options.merge_adapter) return mergedWithBase(checkpoint, base, options)
  return againstBase(await planOf(checkpoint, options), await planOf(base, options), scan)
}

/** What to compute of a checkpoint. */
export async function planOf(checkpoint: Checkpoint, options: AnalysisOptions): Promise<Plan> {
  const attention = options.split_packed && (await readAttention(checkpoint))
  return planLayers(checkpoint, options, attention, await independent(checkpoint.tensors))
}

/** Each tensor is scanned once. */
function memoise(engine: Engine): (tensor: Tensor) => Promise<Scan> {
  const scans = new Map<Tensor, Promise<Scan>>()
  return tensor => {
    const found = scans.get(tensor) ?? engine.scan(tensor, true)
    scans.set(tensor, found)
    return found
  }
}

/** What is no layer can still hold a NaN, or have changed. */
async function scanSkipped({ row, tensor }: PlannedSkip, engine: Engine): Promise<Skipped> {
  if (!tensor) return row
  const { digest, nonFinite, largest } = await engine.scan(tensor)
  const isBuffer = row.code === 'buffer' && !/(^|[._/])(running|moving)_(mean|var)/.test(tensor.name)
  const meant = (isBuffer || BOUND.test(tensor.name)) && /Inf/.test(nonFinite ?? '')
  return {
    ...row,
    digest,
    ...(nonFinite !== undefined && !meant && { non_finite: nonFinite }),
    ...(largest !== undefined && { largest }),
  }
}

/** What observers of quantisation have seen, which is nothing at first, and the bounds of spaces of actions. */
const BOUND = /(?:^|[._/])(?:min_vals?|max_vals?|low|high)$/

/** What the stored tensors of a layer are, and the identity of its spectrum. */
interface Identity {
  readonly digest: string
  readonly fingerprint: string
}

/** @returns the error of the layer where a tensor that it is made of holds a NaN or an infinity */
async function identify(
  { recipe, scale, broken }: PlannedLayer,
  scan: (tensor: Tensor) => Promise<Scan>,
  { fix_fingers, small_sample_fit, xmax, hill_share, metrics }: AnalysisOptions,
): Promise<Identity | LayerError> {
  if (broken !== undefined) return new LayerError('quantised', broken)
  const tensors = tensorsOf(recipe.values)
  const scans = await Promise.all(tensors.map(scan))
  const bad = scans.findIndex(({ nonFinite }) => nonFinite !== undefined)
  if (bad >= 0) {
    const where = tensors.length > 1 ? `${tensors[bad].name}: ` : ''
    return new LayerError('non-finite', `${where}${scans[bad].nonFinite}`)
  }
  const digests = scans.map(({ digest }) => digest)
  const usual = recipe.read === 'kernel-slices' ? 0.5 : 1
  const fit = [
    fix_fingers,
    small_sample_fit,
    xmax && `xmax ${xmax}`,
    hill_share !== undefined && `hill ${hill_share}`,
    scale !== usual && `scale ${scale}`,
    metrics,
  ]
  const parts = [...digests, ...factorsOf(recipe.values).map(String)]
  const digest = parts.length === 1 ? parts[0] : createHash('sha256').update(parts.join()).digest('hex')
  return {
    digest,
    fingerprint: fingerprint(
      recipe,
      digests,
      fit.filter(how => typeof how === 'string'),
    ),
  }
}

/** All rows at once, in the order of the plan: the engine sees to it that the longest come first. */
async function analyseLayers(
  layers: readonly PlannedLayer[],
  { engine, known, onProgress, options }: AnalyseContext,
  scan: (tensor: Tensor) => Promise<Scan>,
): Promise<Layer[]> {
  const identities = await Promise.all(layers.map(layer => identify(layer, scan, options).catch(layerErrors)))
  const firsts = new Map<string, number>()
  for (const [i, identity] of identities.entries()) {
    if (!(identity instanceof LayerError) && !firsts.has(identity.fingerprint)) firsts.set(identity.fingerprint, i)
  }
  const progress = new Progress(onProgress)
  const computed = new Map<number, Promise<Layer>>()
  const compute = (i: number, identity: Identity): Promise<Layer> => {
    const layer = layers[i]
    if (options.metrics === 'spectral-norm') {
      const norm = engine.spectralNorm(layer.recipe, progress.add(normCost(layer.recipe), layer.name))
      return norm.then(
        ({ largest }) => ({ ...spectralNormRow(layer, largest), ...identity }),
        error => errorRow(layer, layerErrors(error), options),
      )
    }
    return find(layer, { engine, options }, progress).then(
      findings => ({ ...layerMetrics(layer, findings, noiseFloor(layer.N, layer.M), options), ...identity }),
      error => errorRow(layer, layerErrors(error), options),
    )
  }
  const row = async (i: number): Promise<Layer> => {
    const layer = layers[i]
    const identity = identities[i]
    if (identity instanceof LayerError) return errorRow(layer, identity, options)
    if (!known) return compute(i, identity)
    const earlier = known.get(identity.fingerprint)
    if (earlier) return sameRow(layer, identity, earlier, 'baseline')
    const first = firsts.get(identity.fingerprint)!
    if (!computed.has(first)) computed.set(first, compute(first, identity))
    const row = await computed.get(first)!
    return first === i ? row : sameRow(layer, identity, row, 'run')
  }
  return Promise.all(layers.map((_, i) => row(i)))
}

/** How often a layer is shuffled whose structure is not plain after the first time. */
const SHUFFLES = 3
/** Twice the largest S that is called random-like: no other shuffle would change that (its standard deviation is about 0.3). */
const PLAIN_STRUCTURE = 2 * RANDOM_LIKE

/**
 * All that the engine finds of a layer. What is never formed, a product of low rank, is not shuffled either; nor is an operator, whose
 * eigenvalues are no more independent than the kernel's elements.
 */
async function find(
  layer: PlannedLayer,
  { engine, options }: Pick<AnalyseContext, 'engine' | 'options'>,
  progress: Progress,
): Promise<Findings> {
  const { recipe, name } = layer
  const spectrumOf = (recipe: Recipe) => engine.spectrum(recipe, progress.add(cost(recipe), name))
  const bootstrapped = (spectrum: Spectrum, draws: number) => {
    const request = bootstrapOf(layer, spectrum, noiseFloor(layer.N, layer.M), draws, options)
    const work = bootstrapCost(request)
    return engine.call('bootstrap', request, work, progress.add(work, name)) as Promise<Bootstrap | null>
  }
  const shuffled = (replica: number) => spectrumOf({ ...recipe, values: shuffle(recipe.values, replica) })
  const [spectrum, weights, ...first] = await Promise.all([
    spectrumOf(recipe),
    engine.weights(recipe.values),
    ...(isShuffled(layer, options) ? [shuffled(0)] : []),
  ])
  const { analyses } = options
  const plain = first.length === 0 || structure(layer, spectrum, first) > PLAIN_STRUCTURE
  const forStructure = plain ? first.length : SHUFFLES
  const wanted = first.length > 0 && analyses?.includes('randomize') ? REPLICAS : forStructure
  const more = Array.from({ length: wanted - first.length }, (_, i) => shuffled(i + 1))
  const { against } = layer
  const beside = analyses?.includes('distances') && against ? Object.values(recipesBeside(recipe, against)) : []
  const parts = (analyses?.includes('farms') && windowsOf(recipe)) || []
  const [others, distances, windows] = await Promise.all([
    Promise.all(more),
    Promise.all(beside.map(spectrumOf)),
    Promise.all(parts.map(part => (part === recipe ? spectrum : spectrumOf(part)))),
  ])
  const { bootstrap: draws } = options
  return {
    ...{ spectrum, weights, forStructure, shuffled: [...first, ...others] },
    ...(windows.length > 0 && { windows }),
    ...(draws !== undefined && { bootstrap: await bootstrapped(spectrum, draws) }),
    ...(distances.length > 0 && { distances: distancesBetween(spectrum, distances[0], distances[1], distances[2]) }),
  }
}

/** What is never formed, a product of low rank, or is no matrix of weights is not shuffled. */
function isShuffled({ recipe }: PlannedLayer, { structure, analyses }: AnalyseContext['options']): boolean {
  const wanted = structure !== false || analyses?.includes('randomize') === true
  return wanted && recipe.values.op !== 'product' && recipe.read !== 'operator'
}

/** What goes wrong with one layer becomes its row; anything else ends the analysis. */
function layerErrors(error: unknown): LayerError {
  if (error instanceof LayerError) return error
  throw error
}

/** Adds up the work of all recipes that have been asked for. */
class Progress {
  readonly #report: OnProgress | undefined
  #total = 0
  #done = 0

  constructor(report: OnProgress | undefined) {
    this.#report = report
  }

  add(cost: number, name: string): (share: number) => void {
    this.#total += cost
    let before = 0
    return share => {
      this.#done += (share - before) * cost
      before = share
      this.#report?.(this.#done, this.#total, name)
    }
  }
}

function nothingToAnalyse({ path }: Checkpoint, { skipped }: Plan): CheckpointError {
  if (skipped.length === 0) return new CheckpointError(path, 'holds no tensors', 'Is it the weights file of the model?')
  const reasons = new Map<string, number>()
  for (const {
    row: { reason },
  } of skipped)
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const counted = [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${n} × ${reason}`)
  const listed = counted.length > 6 ? [...counted.slice(0, 6), `${counted.length - 6} more reasons`] : counted
  return new CheckpointError(
    path,
    `none of its ${skipped.length} tensors qualifies as a layer (${listed.join(', ')})`,
    'A layer is a floating-point tensor with 2 or 4 dimensions and at least min-evals eigenvalues. See min-evals, max-evals, max-n, include and exclude.',
  )
}

/** `resnet20` for models/resnet20.safetensors; the folder's name where the file's own says nothing. */
export function modelName(path: string): string {
  const base = basename(resolve(path)).replace(
    /\.(safetensors|pth\.tar|pt|pth|bin|ckpt|th|zip|h5|hdf5|keras|onnx|onnx\.gz|npz|npy|gguf)$/i,
    '',
  )
  return /^(model|pytorch_model|checkpoint|weights)$/.test(base) ? basename(resolve(path, '..')) : base
}
