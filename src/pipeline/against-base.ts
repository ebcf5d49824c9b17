import { readAttention } from '../checkpoint/attention.ts'
import { type Checkpoint, openCheckpoint } from '../checkpoint/index.ts'
import type { Tensor } from '../checkpoint/types.ts'
import { byPlace } from '../comparison/places.ts'
import { CheckpointError, UserError } from '../errors.ts'
import { mergeAdapter } from '../layers/merged.ts'
import { type Plan, type PlannedLayer, type PlannedSkip, planLayers } from '../layers/select.ts'
import type { Recipe } from '../recipe/recipe.ts'
import { concat, difference, shapeOf, tensorsOf, type Values } from '../recipe/values.ts'
import { layerKey } from '../report/metrics.ts'
import type { AnalysisOptions } from '../report/schema.ts'
import { fingerprint, type Scan } from '../spectrum/engine.ts'

/** @throws UserError where the base model can't be read */
export async function openBase(path: string): Promise<Checkpoint> {
  return openCheckpoint(path, {}).catch(error => {
    if (!(error instanceof UserError)) throw error
    throw new UserError(`The base model can't be used. ${error.message}`, error.remedy, { cause: error })
  })
}

/**
 * The plan of what was added to a base model: W − W_base for each layer that both have in one place, under one name, or exact key, with
 * one shape. A low-rank update that stands alone is the difference already. Layers that are the same, and those that the base lacks, are
 * left out, each with its reason.
 */
export async function againstBase(
  { layers, skipped, whole }: Plan,
  base: Plan,
  scan: (tensor: Tensor) => Promise<Scan>,
): Promise<Plan> {
  const rows = (plan: Plan) => [...plan.layers, ...plan.skipped.map(({ row }) => row)]
  const { names } = byPlace(rows({ layers, skipped, whole }), rows(base))
  const inPlace = new Map(
    base.layers.flatMap(layer => {
      const name = names.get(layer.tensor)
      return name === undefined ? [] : [[layerKey({ ...layer, name }), layer]]
    }),
  )
  const others = base.layers.filter(({ tensor }) => !names.has(tensor))
  const byName = new Map(others.map(layer => [layerKey(layer), layer]))
  const byTensor = new Map(others.map(layer => [layerKey({ ...layer, name: layer.tensor }), layer]))
  const planned = await Promise.all(
    layers.map(async (layer): Promise<PlannedLayer | PlannedSkip> => {
      const exact = layerKey({ ...layer, name: layer.tensor })
      const partner = inPlace.get(exact) ?? byName.get(layerKey(layer)) ?? byTensor.get(exact)
      if (layer.recipe.values.op === 'product') return layer
      if (!partner) return left(layer, 'unmatched', 'the base model has no layer of this name and shape')
      const broken = layer.broken ?? partner.broken
      if (broken !== undefined) return { ...layer, broken }
      if (await same(layer.recipe, partner.recipe, scan)) {
        return left(layer, 'identical', 'identical to that of the base model')
      }
      const against = { head: layer.recipe.values, base: partner.recipe.values }
      return { ...layer, against, recipe: { ...layer.recipe, values: difference(against.head, against.base) } }
    }),
  )
  const changed = planned.filter((one): one is PlannedLayer => 'recipe' in one)
  return { layers: changed, skipped: [...skipped, ...planned.filter((one): one is PlannedSkip => 'row' in one)], whole }
}

/**
 * The plan of what an adapter makes of a base model: W_base + ΔW for each weight that it changes. Those that it leaves as they are
 * count as identical; updates whose weight is not there are left out, each with its reason.
 * @throws CheckpointError where the checkpoint is no adapter
 */
export async function mergedWithBase(adapter: Checkpoint, base: Checkpoint, options: AnalysisOptions): Promise<Plan> {
  const attention = options.split_packed && (await readAttention(base))
  const { tensors, updates, unmatched } = mergeAdapter(adapter, base)
  if ((adapter.updates ?? []).length === 0)
    throw new CheckpointError(
      adapter.path,
      'holds no adapter that could be merged: no factors of low rank, or none with a known scale',
      'Leave merge-adapter out, or keep the adapter_config.json beside its weights.',
    )
  const { layers, skipped, whole } = planLayers({ tensors, unread: adapter.unread, updates }, options, attention)
  const changed = new Set(updates.map(({ key }) => key))
  const untouched = planLayers(base, options, attention).layers.filter(({ tensor }) => !changed.has(tensor))
  return {
    layers,
    skipped: [
      ...skipped,
      ...unmatched.map(({ tensor: { name, shape, dtype }, reason }): PlannedSkip => {
        return { row: { tensor: name, shape: [...shape], dtype, code: 'unmatched', reason } }
      }),
      ...untouched.map(layer => left(layer, 'identical', 'the adapter leaves it as the base model has it')),
    ],
    whole,
  }
}

function left(
  { tensor, place, shape, dtype }: PlannedLayer,
  code: 'identical' | 'unmatched',
  reason: string,
): PlannedSkip {
  return { row: { tensor, ...(place !== undefined && { place }), shape, dtype, code, reason } }
}

/** Whether both read the same bytes in the same way. */
async function same(head: Recipe, base: Recipe, scan: (tensor: Tensor) => Promise<Scan>): Promise<boolean> {
  const [ours, theirs] = await Promise.all(
    [head, base].map(async recipe => {
      const scans = await Promise.all(tensorsOf(recipe.values).map(scan))
      return fingerprint(
        recipe,
        scans.map(({ digest }) => digest),
      )
    }),
  )
  return ours === theirs
}

/** What tells how far a layer is from that of the base model, beside their difference: each, and both side by side. */
export function recipesBeside(
  recipe: Recipe,
  { head, base }: { readonly head: Values; readonly base: Values },
): { head: Recipe; base: Recipe; both: Recipe } {
  const [rows, columns] = shapeOf(head)
  // A dense layer's outputs are compared; of kernel slices WeightWatcher compares the longer side.
  const axis = recipe.read === 'matrix' || rows >= columns ? 1 : 0
  const read = (values: Values): Recipe => ({ ...recipe, values })
  return { head: read(head), base: read(base), both: read(concat([head, base], axis)) }
}
