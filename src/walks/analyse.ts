import { basename, isAbsolute, relative, resolve, sep } from 'node:path'
import { type Checkpoint, openCheckpoint, refuseChanged } from '../checkpoint/index.ts'
import { CheckpointError, LayerError } from '../errors.ts'
import { type Plan, type PlannedLayer, planLayers } from '../layers/select.ts'
import { type Shard, shardPositions } from '../layers/shard.ts'
import { errorRow, layerMetrics, sameRow } from '../metrics/layer.ts'
import { summarise } from '../metrics/summary.ts'
import type { OnProgress } from '../progress.ts'
import { cost } from '../recipe/recipe.ts'
import type { AnalysisOptions, Layer, Model } from '../report/schema.ts'
import { type Engine, noiseFloor } from '../spectrum/engine.ts'

/** A checkpoint to analyse. `name` is the model's name in the report: from the file's name where it is not given. */
export interface Source {
  readonly path: string
  readonly name?: string | undefined
  readonly stateDict?: string | undefined
}

export interface AnalyseContext {
  readonly engine: Engine
  readonly options: AnalysisOptions
  /** Rows by fingerprint that need not be computed again; null where everything has to be. */
  readonly known: ReadonlyMap<string, Layer> | null
  readonly onProgress?: OnProgress | undefined
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
  const plan = planLayers(checkpoint, context.options)
  if (plan.layers.length === 0) throw nothingToAnalyse(checkpoint, plan)
  const positions = shardPositions(
    plan.layers.map(({ recipe }) => cost(recipe)),
    shard,
  )
  const layers = await analyseLayers(
    positions.map(i => plan.layers[i]),
    context,
  )
  await refuseChanged(checkpoint)
  const model = {
    name: source.name ?? modelName(source.path),
    source: {
      path: portable(source.path),
      format: checkpoint.format,
      bytes: checkpoint.bytes,
      ...(checkpoint.stateDict && { state_dict: checkpoint.stateDict }),
      ...(checkpoint.ignored.length > 0 && { ignored: checkpoint.ignored.slice(0, 1000) }),
    },
    layers,
    skipped: [...plan.skipped],
    summary: summarise(layers, plan.skipped),
  }
  return { model, layers: plan.layers.length, positions }
}

/** All rows at once, in the order of the plan: the engine sees to it that the longest come first. */
async function analyseLayers(
  layers: readonly PlannedLayer[],
  { engine, known, onProgress }: AnalyseContext,
): Promise<Layer[]> {
  const fingerprints = await Promise.all(
    layers.map(({ recipe, broken }) => {
      return broken ? new LayerError('quantised', broken) : engine.fingerprint(recipe).catch(layerErrors)
    }),
  )
  const firsts = new Map<string, number>()
  for (const [i, fingerprint] of fingerprints.entries()) {
    if (typeof fingerprint === 'string' && !firsts.has(fingerprint)) firsts.set(fingerprint, i)
  }
  const progress = new Progress(onProgress)
  const computed = new Map<number, Promise<Layer>>()
  const compute = (i: number, fingerprint: string): Promise<Layer> => {
    const layer = layers[i]
    const onWork = progress.add(cost(layer.recipe), layer.name)
    const spectrum = engine.spectrum(layer.recipe, onWork)
    return spectrum.then(
      spectrum => ({ ...layerMetrics(layer, spectrum, noiseFloor(layer.M)), fingerprint }),
      error => errorRow(layer, layerErrors(error)),
    )
  }
  const row = async (i: number): Promise<Layer> => {
    const layer = layers[i]
    const fingerprint = fingerprints[i]
    if (typeof fingerprint !== 'string') return errorRow(layer, fingerprint)
    if (!known) return compute(i, fingerprint)
    const earlier = known.get(fingerprint)
    if (earlier) return sameRow(layer, earlier, 'baseline')
    const first = firsts.get(fingerprint)!
    if (!computed.has(first)) computed.set(first, compute(first, fingerprint))
    const row = await computed.get(first)!
    return first === i ? row : sameRow(layer, row, 'run')
  }
  return Promise.all(layers.map((_, i) => row(i)))
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
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
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

/** A path that says nothing of the machine: relative to the working directory, or the last component. */
export function portable(path: string): string {
  const inside = relative(process.cwd(), resolve(path))
  if (inside === '') return '.'
  return inside.startsWith('..') || isAbsolute(inside) ? basename(path) : inside.split(sep).join('/')
}
