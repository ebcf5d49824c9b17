import type { LayerMetric } from '../report/columns.ts'
import { GROUP_NAMES, type GroupName, isIn } from '../report/groups.ts'
import { layerValue } from '../report/metrics.ts'
import type { Layer } from '../report/schema.ts'
import { nearest } from '../words.ts'
import { glob } from './glob.ts'
import { holds, type Operator } from './operator.ts'
import { parseLayerMetric, type Scanner } from './scanner.ts'

const TYPES = ['dense', 'conv2d', 'conv1d', 'conv3d'] as const

/** What a layer has to be for a rule to look at it. */
export type Condition =
  | { readonly kind: 'name'; readonly pattern: string }
  | { readonly kind: 'type'; readonly type: (typeof TYPES)[number] }
  | { readonly kind: 'group'; readonly group: GroupName }
  | { readonly kind: 'metric'; readonly metric: LayerMetric; readonly operator: Operator; readonly threshold: number }

/** All of them have to hold. In an order of their own, so that rules are equal however they were written. */
export type Where = readonly Condition[]

/** A layer, or a tensor that is none: that has a name alone. */
export type Row = { readonly name: string; readonly tensor: string } & Partial<Layer>

/**
 * `where condition { and condition }`, if it stands here:
 * ```
 * condition = "name" "~" pattern | "type" "=" ("dense" | "conv2d" | "conv1d" | "conv3d") | "group" "=" group
 *           | metric operator number
 * ```
 */
export function parseWhere(scanner: Scanner): { readonly where?: Where } {
  if (!scanner.word('where')) return {}
  const found = new Map<string, Condition>()
  do {
    const condition = parseCondition(scanner)
    found.set(JSON.stringify(condition), condition)
  } while (scanner.word('and'))
  return { where: [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, condition]) => condition) }
}

function parseCondition(scanner: Scanner): Condition {
  if (scanner.word('name')) {
    if (!scanner.take('~')) throw scanner.error('expected ~', 'Write name ~ "layer3.*".', scanner.at)
    const at = scanner.at
    const pattern = scanner.pattern()
    const read = glob(pattern)
    if (typeof read === 'string') throw scanner.error(read, 'Write name ~ "layer3.*", or name ~ "*.{q,k,v}_proj".', at)
    return { kind: 'name', pattern }
  }
  if (scanner.word('type')) {
    if (!scanner.take('=')) throw scanner.error('expected =', 'Write type = conv2d.', scanner.at)
    const at = scanner.at
    const name = scanner.name()
    const type = TYPES.find(type => type === name)
    if (!type) {
      const near = nearest(name, TYPES)
      throw scanner.error(
        name ? `unknown type ${JSON.stringify(name)}` : 'a type is missing',
        near ? `Did you mean ${near}?` : `Known are ${TYPES.join(', ')}.`,
        at,
      )
    }
    return { kind: 'type', type }
  }
  if (scanner.word('group')) {
    if (!scanner.take('=')) throw scanner.error('expected =', 'Write group = attention.q.', scanner.at)
    const at = scanner.at
    const name = scanner.name()
    const group = GROUP_NAMES.find(group => group === name)
    if (!group) {
      const near = nearest(name, GROUP_NAMES)
      const found = name ? `unknown group ${JSON.stringify(name)}` : 'a group is missing'
      throw scanner.error(found, near ? `Did you mean ${near}?` : `Known are ${GROUP_NAMES.join(', ')}.`, at)
    }
    return { kind: 'group', group }
  }
  const metric = parseLayerMetric(scanner)
  const operator = scanner.operator()
  return { kind: 'metric', metric, operator, threshold: scanner.number() }
}

/** The metrics that conditions are about. */
export function metricsOf(where: Where = []): LayerMetric[] {
  return where.flatMap(condition => (condition.kind === 'metric' ? [condition.metric] : []))
}

/** The conditions that hold whatever became of the fit: on names, types and groups. */
export function lasting(where: Where = []): Where {
  return where.filter(({ kind }) => kind !== 'metric')
}

/** Whether a row is looked at. A name is a layer's or its tensor's, as in `include`; a metric without a value meets no condition. */
export function selector(where: Where = []): (row: Row) => boolean {
  const each = where.map(test)
  return row => each.every(holds => holds(row))
}

function test(condition: Condition): (row: Row) => boolean {
  switch (condition.kind) {
    case 'name': {
      const { pattern } = condition
      const negated = pattern.startsWith('!')
      const matches = glob(pattern.slice(negated ? 1 : 0)) as (name: string) => boolean
      return ({ name, tensor }) => (matches(name) || matches(tensor)) !== negated
    }
    case 'type':
      return row => row.layer_type === condition.type
    case 'group':
      return row => isIn(row, condition.group)
    case 'metric':
      return row => {
        const value = row.status === undefined ? null : layerValue(row as Layer, condition.metric)
        return value !== null && holds(value, condition.operator, condition.threshold)
      }
  }
}

/** The conditions in words, for people. */
export function sayWhere(where: Where): string {
  return where.map(say).join(' and ')
}

function say(condition: Condition): string {
  switch (condition.kind) {
    case 'name':
      return `name ~ ${JSON.stringify(condition.pattern)}`
    case 'type':
      return `type = ${condition.type}`
    case 'group':
      return `group = ${condition.group}`
    case 'metric':
      return `${condition.metric} ${condition.operator} ${condition.threshold}`
  }
}
