import { basename, isAbsolute, relative, resolve, sep } from 'node:path'
import { type Checkpoint, openCheckpoint } from '../checkpoint/index.ts'
import { CheckpointError, LayerError } from '../errors.ts'
import { type Plan, type PlannedLayer, planLayers } from '../layers/select.ts'
import { errorRow, layerMetrics } from '../metrics/layer.ts'
import { summarise } from '../metrics/summary.ts'
import type { AnalysisOptions, Layer, Model } from '../report/schema.ts'
import type { Engine } from '../spectrum/engine.ts'

/** A checkpoint to analyse. `name` is the model's name in the report: from the file's name where it is not given. */
export interface Source {
  readonly path: string
  readonly name?: string | undefined
  readonly stateDict?: string | undefined
}

export interface AnalyseContext {
  readonly engine: Engine
  readonly options: AnalysisOptions
  /** Called before each layer and once at the end. */
  readonly onProgress?: ((done: number, total: number, layer: string) => void) | undefined
}

/**
 * From a checkpoint to a model of the report: every layer's metrics and the summary.
 * @throws CheckpointError where the checkpoint can't be read, or none of its tensors qualifies as a layer
 */
export async function analyse(source: Source, { engine, options, onProgress }: AnalyseContext): Promise<Model> {
  const checkpoint = await openCheckpoint(source.path, { stateDict: source.stateDict })
  const plan = planLayers(checkpoint.tensors, options)
  if (plan.layers.length === 0) throw nothingToAnalyse(checkpoint, plan)
  const layers: Layer[] = []
  for (const layer of plan.layers) {
    onProgress?.(layers.length, plan.layers.length, layer.name)
    layers.push(await row(layer, engine))
  }
  onProgress?.(layers.length, plan.layers.length, '')
  return {
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
}

async function row(layer: PlannedLayer, engine: Engine): Promise<Layer> {
  try {
    return layerMetrics(layer, await engine.spectrum(layer.recipe), engine.noiseFloor(layer.N, layer.M))
  } catch (error) {
    if (error instanceof LayerError) return errorRow(layer, error)
    throw error
  }
}

function nothingToAnalyse({ path, tensors }: Checkpoint, { skipped }: Plan): CheckpointError {
  if (tensors.length === 0) return new CheckpointError(path, 'holds no tensors', 'Is it the weights file of the model?')
  const reasons = new Map<string, number>()
  for (const { reason } of skipped) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  const counted = [...reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${n} × ${reason}`)
  const listed = counted.length > 6 ? [...counted.slice(0, 6), `${counted.length - 6} more reasons`] : counted
  return new CheckpointError(
    path,
    `none of its ${tensors.length} tensors qualifies as a layer (${listed.join(', ')})`,
    'A layer is a floating-point tensor with 2 or 4 dimensions and at least min-evals eigenvalues. See min-evals, max-evals, max-n, include and exclude.',
  )
}

/** `resnet20` for models/resnet20.safetensors; the folder's name where the file's own says nothing. */
export function modelName(path: string): string {
  const base = basename(resolve(path)).replace(/\.(safetensors|pth\.tar|pt|pth|bin|ckpt|th)$/i, '')
  return /^(model|pytorch_model|checkpoint|weights)$/.test(base) ? basename(resolve(path, '..')) : base
}

/** A path that says nothing of the machine: relative to the working directory, or the last component. */
export function portable(path: string): string {
  const inside = relative(process.cwd(), resolve(path))
  if (inside === '') return '.'
  return inside.startsWith('..') || isAbsolute(inside) ? basename(path) : inside.split(sep).join('/')
}
