import type { SummaryMetric } from '../report/columns.ts'
import type { Comparison, Part, Report, RuleResult } from '../report/schema.ts'
import { format, formatChange, formatReal, plural } from './numbers.ts'
import { join, name, names, type Phrase, said, spans } from './view.ts'
import { meanWord, shapeWord } from './words.ts'

export const ICON = { passed: '✅', accepted: '☑️', warned: '⚠️', inconclusive: '🟡', failed: '❌' } as const
const OUTCOME = { ok: '✅', violated: '❌', inconclusive: '🟡' } as const

/** The icon of one rule: a broken warning is not a failure, and a word of a later version decides nothing here. */
export function ruleIcon({ outcome, level }: RuleResult): string {
  return outcome === 'violated' && level === 'warn' ? ICON.warned : (OUTCOME[outcome] ?? OUTCOME.inconclusive)
}

/** One sentence: what decided, or what moved most. Without the verdict's word and icon. */
export function headline(report: Report): Phrase {
  const { models, verdict, part } = report
  if (part) return describePart(part)
  const sentence = decided(report)
  if (!verdict?.rules.every(({ builtin }) => builtin) || verdict.held || models.length === 0) return sentence
  if (verdict.first_run && verdict.status === 'passed')
    return join(['first run, nothing to compare with yet', sentence], '; ')
  return join(verdict.status === 'passed' ? ['no rule is set', sentence] : [sentence, 'no rule is set'], '; ')
}

function decided({ models, comparison, verdict }: Report): Phrase {
  const several = models.length > 1
  const moved = comparison ? movedMost(comparison, several) : ''
  const decisive = verdict && decisiveRule(verdict.rules)
  if (decisive?.cause === 'no-baseline' && verdict?.first_run)
    return ['first run, nothing to compare with yet; ', ...spans(means(models))]
  if (decisive) {
    const because = [...spans(describeRule(decisive, several)), others(verdict.rules, decisive)]
    return decisive.layer || decisive.name ? because : join([because, moved], '; ')
  }
  if (comparison?.status === 'incomparable') return ['incomparable with the baseline: ', said(comparison.reason)]
  return comparison ? moved : means(models)
}

function describePart({ shard, models, missing = [] }: Part): string {
  const analysed = models.reduce((sum, { positions }) => sum + positions.length, 0)
  const layers = models.reduce((sum, { layers }) => sum + layers, 0)
  const which = shard ? `part ${shard.index} of ${shard.of}` : 'part'
  const without = missing.length > 0 ? `, ${plural(missing.length, 'checkpoint')} not there` : ''
  return `${which}: ${analysed} of ${plural(layers, 'layer')}, to be merged${without}`
}

function means(models: Report['models']): Phrase {
  return join(
    models.slice(0, 3).map(model => {
      const { alpha, layers, failed } = model.summary
      const mean = `alpha ${format(alpha)} over ${plural(layers - failed, 'layer')}`
      return models.length > 1 ? [name(model.name), `: ${mean}`] : mean
    }),
    '; ',
  )
}

/** What was measured, as the table of rules shows it. */
export function measured({ value, unit, rule }: RuleResult): string {
  if (value === null) return '–'
  if (unit === '%') return `${value > 0 ? '+' : ''}${format(value, 2)} %`
  if (unit !== '') return `${formatChange(value)} ${unit === 'sigma' || unit === 'history' ? unit : ''}`.trimEnd()
  return /delta\(|^primary\b|-tail /.test(rule) ? formatChange(value) : format(value)
}

/** The boundary of a rule, as it was written, where that is a number: a report of a fork may hold anything. */
export function limit({ rule }: RuleResult): string {
  return /[<>]=?\s*[+-]?[\d.]{1,30}(?:e[+-]?\d{1,3})?\s*(?:%|sigma|history)?$/i.exec(rule.trimEnd())?.[0] ?? '–'
}

/** The rule that the headline speaks of. */
export function decisiveRule(rules: readonly RuleResult[]): RuleResult | undefined {
  return byUrgency(rules.filter(rule => rule.outcome !== 'ok'))[0]
}

/** What fails before what warns, what is violated before what is inconclusive, and what holds last. */
export function byUrgency(rules: readonly RuleResult[]): RuleResult[] {
  const order = ({ level, outcome }: RuleResult) =>
    outcome === 'ok' ? 4 : (level === 'fail' ? 0 : 2) + (outcome === 'violated' ? 0 : 1)
  return [...rules].sort((a, b) => order(a) - order(b))
}

function describeRule(rule: RuleResult, several: boolean): Phrase {
  const { value, layer = '', reason } = rule
  const where = several && rule.model ? [' in ', name(rule.model)] : []
  if (rule.builtin) {
    if (rule.model === '' && rule.rule === 'no checkpoint') return ['there is no checkpoint: ', said(reason)]
    const what = BUILT_IN[rule.rule.split(' ')[0]]
    if (!what) return [...(layer ? [name(layer), ': '] : []), said(reason), ...where]
    const [one, many, verb] = what
    const example = (value ?? 0) > 1 ? ' for one: ' : ': '
    return [plural(value ?? 0, one, many), ` ${verb}`, ...where, ', ', name(layer), example, said(reason)]
  }
  if (rule.outcome === 'inconclusive') return [name(rule.rule), ' is inconclusive', ...where, ': ', said(reason)]
  const who = layer ? [' (', name(layer), ...(reason ? [': ', said(reason)] : []), ')'] : []
  return [name(rule.rule), ' is true', ...where, `: ${measured(rule)}`, ...who]
}

/** By their first word: what such a rule counts, and what is wrong with it. */
const BUILT_IN: Record<string, readonly [one: string, many: string, verb: string]> = {
  errors: ['layer', 'layers', 'could not be read'],
  failed: ['layer', 'layers', 'could not be judged'],
  non_finite: ['tensor', 'tensors', 'not finite'],
  'dead-layer': ['layer', 'layers', 'died'],
  reshaped: ['layer', 'layers', 'changed shape'],
  'lost-layers': ['layer', 'layers', 'went'],
  'new-layers': ['layer', 'layers', 'came'],
  'exchanged-weights': ['layer', 'layers', 'changed places'],
  'other-config': ['setting', 'settings', 'changed'],
  'rescaled-weights': ['layer', 'layers', 'multiplied'],
  'zeroed-tensors': ['tensor', 'tensors', 'became 0'],
  'exploded-tensors': ['tensor', 'tensors', 'exploded'],
  'lost-tensors': ['tensor', 'tensors', 'went'],
  'new-tensors': ['tensor', 'tensors', 'came'],
  'lost-structure': ['layer', 'layers', 'lost structure'],
  'newly-over-trained': ['layer', 'layers', 'fell below 2'],
  'replaced-layer': ['layer', 'layers', 'began anew'],
  rounded: ['layer', 'layers', 'got coarser'],
  pruned: ['layer', 'layers', 'got zeros'],
}

function others(rules: readonly RuleResult[], decisive: RuleResult): string {
  const more = rules.filter(
    rule => rule !== decisive && rule.outcome === decisive.outcome && rule.level === decisive.level,
  ).length
  return more > 0 ? `, and ${more} more` : ''
}

/** Which mean moved most, or what changed although none did. */
function movedMost(comparison: Comparison, several: boolean): Phrase {
  const moved = comparison.models
    .filter(model => model.summary?.alpha.change)
    .sort((a, b) => Math.abs(b.summary!.alpha.change!) - Math.abs(a.summary!.alpha.change!))[0]
  if (!moved) return nothingMoved(comparison)
  const { judgement, summary } = moved
  const shape = judgement?.primary === 'tail_shape' ? judgement.tail_shape : null
  const layer = moved.layers[0]
  const model = several ? ['of ', name(moved.name), ' '] : []
  const most = layer?.alpha.change ? [', most in ', name(layer.name), ` (${formatChange(layer.alpha.change)})`] : []
  const mean = (metric: SummaryMetric): Phrase => {
    const { head, base, change } = summary![metric]
    const same = moved.added.length + moved.removed.length === 0
    const way = meanWord(metric, summary![metric], judgement, same)
    return [
      `${metric} `,
      ...model,
      `${formatReal(base)} → ${formatReal(head)} (${formatChange(change)}${way ? `, ${way}` : ''})`,
    ]
  }
  if (judgement?.primary === 'alpha_weighted') return [...spans(mean('alpha_weighted')), ', at another depth or width']
  return [
    ...(shape === null ? [] : [`tail shape ${formatChange(shape)}, ${shapeWord(shape)}; `]),
    ...spans(mean('alpha')),
    ...most,
  ]
}

function nothingMoved({ models, status }: Comparison): Phrase {
  if (status === 'incomparable') return ''
  const compared = models.filter(({ base }) => base !== null)
  const changed = compared.reduce((sum, { layers }) => sum + layers.length, 0)
  if (changed > 0) return `${plural(changed, 'layer')} changed, the mean alpha did not`
  if (compared.length === 0) return 'nothing to compare with: the baseline has no model of this name'
  if (compared.every(({ matched }) => matched === 0)) return 'nothing to compare with: no layer is in the baseline'
  if (compared.length === models.length && compared.every(({ tensors }) => tensors?.same))
    return 'nothing changed against the baseline'
  const all = (what: 'changed' | 'added' | 'removed') => compared.flatMap(({ tensors }) => tensors?.[what] ?? [])
  const did = ' that spectra don’t show did: '
  return join(['no spectrum changed', unseen(all('changed'), all('added'), all('removed'), did)], '; ')
}

/** Tensors that changed, came or went, though no spectrum shows it. */
export function unseen(
  changed: readonly string[],
  added: readonly string[],
  removed: readonly string[],
  did = ' changed that spectra don’t show: ',
): Phrase {
  const few = (all: readonly string[]) => names(all, 5)
  const phrases: Phrase[] = []
  if (changed.length > 0) phrases.push([plural(changed.length, 'tensor'), did, ...spans(few(changed))])
  const came = added.length > 0 ? [`${plural(added.length, 'tensor')} came (`, ...spans(few(added)), ')'] : []
  const unit = added.length > 0 ? `${removed.length}` : plural(removed.length, 'tensor')
  const went = removed.length > 0 ? [`${unit} went (`, ...spans(few(removed)), ')'] : []
  if (came.length + went.length > 0) phrases.push(join([came, went], ', '))
  return join(phrases, '; ')
}
