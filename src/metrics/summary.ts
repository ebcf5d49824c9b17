import { REQUESTED_MEANS, SUMMARY_METRICS, type SummaryMetric } from '../report/columns.ts'
import { GROUPS, membershipOf } from '../report/groups.ts'
import type { Layer, Model, Skipped, Summary } from '../report/schema.ts'
import { mean } from '../statistics.ts'

/**
 * A model's summary, from its rows alone: plain means over the layers whose fit succeeded. A model with an `error` row has no
 * means: they would be those of another model. `coverage` is the share of parameters that stand in rows without an error.
 */
export function summarise(layers: readonly Layer[], skipped: readonly Skipped[]): Summary {
  const successful = layers.filter(layer => layer.status === 'success')
  const errors = layers.filter(layer => layer.status === 'error')
  const usable = errors.length > 0 ? [] : successful
  const analysed = elements(layers) - elements(errors)
  const parameters = elements(layers) + elements(skipped.filter(isParameter))
  return {
    layers: layers.length,
    failed: layers.length - successful.length,
    errors: errors.length,
    non_finite: [...layers.filter(isNonFinite), ...skipped.filter(({ non_finite }) => non_finite)].length,
    coverage: parameters > 0 ? analysed / parameters : null,
    ...means(usable),
    ...requestedMeans(usable),
  }
}

/** The means of columns that were asked for, over the layers that have them; nothing of what was not. */
function requestedMeans(layers: readonly Layer[]): Pick<Summary, 'mp_softrank'> {
  const asked = REQUESTED_MEANS.filter(metric => layers.some(layer => layer[metric] !== undefined))
  const entries = asked.map(metric => {
    const values = layers.map(layer => layer[metric]).filter(value => typeof value === 'number')
    return [metric, values.length > 0 ? mean(values) : null]
  })
  return Object.fromEntries(entries)
}

/** What follows from a model's rows. */
export function aggregates(
  layers: readonly Layer[],
  skipped: readonly Skipped[],
): Pick<Model, 'summary' | 'convolutions' | 'groups'> {
  const convolutions = sliceMeans(layers)
  const groups = groupMeans(layers)
  return {
    summary: summarise(layers, skipped),
    ...(convolutions && { convolutions }),
    ...(groups.length > 0 && { groups }),
  }
}

type GroupMeans = NonNullable<Model['groups']>[number]

/** The means over each of the usual groups, then over each block, in the order of the model. None where an error is among them. */
function groupMeans(layers: readonly Layer[]): GroupMeans[] {
  const functions = new Map<string, Layer[]>(GROUPS.map(group => [group, []]))
  const blocks = new Map<string, Layer[]>()
  for (const layer of layers) {
    const { group, block } = membershipOf(layer)
    if (group) functions.get(group)!.push(layer)
    if (!block) continue
    const members = blocks.get(block)
    if (members) members.push(layer)
    else blocks.set(block, [layer])
  }
  const row = (kind: GroupMeans['kind'], [group, members]: [string, Layer[]]): GroupMeans => {
    const successful = members.filter(({ status }) => status === 'success')
    const broken = members.some(({ status }) => status === 'error')
    return { group, kind, layers: members.length, fitted: successful.length, ...means(broken ? [] : successful) }
  }
  return [
    ...[...functions].filter(([, members]) => members.length > 0).map(one => row('function', one)),
    ...[...blocks].map(one => row('block', one)),
  ]
}

/**
 * Of each convolution whose kernel slices are rows of their own, the means over those whose fit succeeded: what early versions of
 * WeightWatcher reported of a layer. Undefined where there is none.
 */
function sliceMeans(layers: readonly Layer[]): Model['convolutions'] {
  const byTensor = new Map<string, Layer[]>()
  for (const layer of layers) {
    if (layer.part?.startsWith('slice ')) byTensor.set(layer.tensor, [...(byTensor.get(layer.tensor) ?? []), layer])
  }
  if (byTensor.size === 0) return undefined
  return [...byTensor].map(([tensor, slices]) => {
    const successful = slices.filter(({ status }) => status === 'success')
    return { name: slices[0].name, tensor, slices: slices.length, fitted: successful.length, ...means(successful) }
  })
}

function isNonFinite({ error }: Layer): boolean {
  return error?.code === 'non-finite'
}

/** Not buffers and counters; but packed integer weights are parameters that were not analysed. */
function isParameter({ code, dtype, shape }: Skipped): boolean {
  if (code === 'dtype') return shape.length >= 2 && dtype !== 'BOOL' && dtype !== 'I64'
  return code !== 'buffer' && code !== 'optimizer' && code !== 'identical'
}

function means(layers: readonly Layer[]): Pick<Summary, SummaryMetric> {
  const meanOf = (metric: SummaryMetric) => {
    const known = layers.length > 0 && layers.every(layer => typeof layer[metric] === 'number')
    return known ? mean(layers.map(layer => layer[metric]!)) : null
  }
  return Object.fromEntries(SUMMARY_METRICS.map(metric => [metric, meanOf(metric)])) as ReturnType<typeof means>
}

function elements(tensors: readonly { readonly shape: readonly number[] }[]): number {
  return tensors.reduce((sum, { shape }) => sum + shape.reduce((product, n) => product * n, 1), 0)
}
