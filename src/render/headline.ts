import type { Comparison, Part, Report, RuleResult } from '../report/schema.ts'
import { plain, prose } from './escape.ts'
import { format, formatChange, formatReal, plural } from './numbers.ts'

export const ICON = { passed: '✅', accepted: '☑️', warned: '⚠️', inconclusive: '🟡', failed: '❌' } as const
export const OUTCOME = { ok: '✅', violated: '❌', inconclusive: '🟡' } as const

/** The icon of one rule: a broken warning is not a failure. */
export function ruleIcon({ outcome, level }: RuleResult): string {
  return outcome === 'violated' && level === 'warn' ? ICON.warned : OUTCOME[outcome]
}

/**
 * One sentence: what decided, or what moved most. Without the verdict's word and icon.
 * @param quote how foreign names are written
 */
export function headline(report: Report, quote: (name: string) => string): string {
  const { models, comparison, verdict, part } = report
  if (part) return describePart(part)
  const several = models.length > 1
  const moved = comparison && movedMost(comparison, quote, several)
  const decisive = verdict && decisiveRule(verdict.rules)
  if (decisive?.cause === 'no-baseline' && verdict?.first_run)
    return `first run, nothing to compare with yet; ${means(models, quote)}`
  if (decisive) {
    const said = `${describeRule(decisive, quote, several)}${others(verdict.rules, decisive)}`
    return moved && !decisive.layer ? `${said}; ${moved}` : said
  }
  if (comparison?.status === 'incomparable') return `incomparable with the baseline: ${plain(comparison.reason, quote)}`
  if (moved) return moved
  if (comparison) return 'nothing changed against the baseline'
  return means(models, quote)
}

function describePart({ shard, models }: Part): string {
  const analysed = models.reduce((sum, { positions }) => sum + positions.length, 0)
  const layers = models.reduce((sum, { layers }) => sum + layers, 0)
  const which = shard ? `part ${shard.index} of ${shard.of}` : 'part'
  return `${which}: ${analysed} of ${plural(layers, 'layer')}, to be merged`
}

function means(models: Report['models'], quote: (name: string) => string): string {
  return models
    .slice(0, 3)
    .map(({ name, summary }) => {
      const model = models.length > 1 ? `${quote(name)}: ` : ''
      return `${model}alpha ${format(summary.alpha)} over ${plural(summary.layers - summary.failed, 'layer')}`
    })
    .join('; ')
}

/** What was measured, as the table of rules shows it. */
export function measured({ value, unit, rule }: RuleResult): string {
  if (value === null) return '–'
  if (unit === '%') return `${value > 0 ? '+' : ''}${format(value, 2)} %`
  return /delta\(/.test(rule) ? formatChange(value) : format(value)
}

function decisiveRule(rules: readonly RuleResult[]): RuleResult | undefined {
  const order = (rule: RuleResult) => (rule.level === 'fail' ? 0 : 2) + (rule.outcome === 'violated' ? 0 : 1)
  return rules.filter(rule => rule.outcome !== 'ok').sort((a, b) => order(a) - order(b))[0]
}

function describeRule(rule: RuleResult, quote: (name: string) => string, several: boolean): string {
  const where = several && rule.model ? ` in ${quote(rule.model)}` : ''
  if (rule.model === '' && rule.builtin) return `there is no checkpoint: ${prose(rule.reason, quote)}`
  if (rule.builtin && rule.rule.startsWith('errors')) {
    return `${plural(rule.value ?? 0, 'layer')} could not be read${where}, ${quote(rule.layer ?? '')} for one: ${plain(rule.reason, quote)}`
  }
  if (rule.builtin) {
    return `${plural(rule.value ?? 0, 'layer')} could not be judged${where}, ${quote(rule.layer ?? '')} for one: ${plain(rule.reason, quote)}`
  }
  if (rule.outcome === 'inconclusive')
    return `${quote(rule.rule)} is inconclusive${where}: ${plain(rule.reason, quote)}`
  const layer = rule.layer ? ` (${quote(rule.layer)})` : ''
  return `${quote(rule.rule)} is true${where}: ${measured(rule)}${layer}`
}

function others(rules: readonly RuleResult[], decisive: RuleResult): string {
  const more = rules.filter(
    rule => rule !== decisive && rule.outcome === decisive.outcome && rule.level === decisive.level,
  ).length
  return more > 0 ? `, and ${more} more` : ''
}

function movedMost(comparison: Comparison, quote: (name: string) => string, several: boolean): string {
  const moved = comparison.models
    .filter(model => model.summary?.alpha.change)
    .sort((a, b) => Math.abs(b.summary!.alpha.change!) - Math.abs(a.summary!.alpha.change!))[0]
  if (!moved) {
    const changed = comparison.models.reduce((sum, model) => sum + model.layers.length, 0)
    return changed > 0 ? `${plural(changed, 'layer')} changed, the mean alpha did not` : ''
  }
  const { head, base, change } = moved.summary!.alpha
  const layer = moved.layers[0]
  const most = layer?.alpha.change ? `, most in ${quote(layer.name)} (${formatChange(layer.alpha.change)})` : ''
  return `alpha ${several ? `of ${quote(moved.name)} ` : ''}${formatReal(base)} → ${formatReal(head)} (${formatChange(change)})${most}`
}
