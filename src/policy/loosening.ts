import type { Operator } from './operator.ts'
import type { Rule } from './rule.ts'

/**
 * The rules of an earlier gate that a later one lacks or has loosened: each that no rule of the later gate implies. A rule implies
 * another where both measure the same, it is of the same level or a worse one, and its threshold is at least as strict.
 */
export function loosenedRules(earlier: readonly Rule[], later: readonly Rule[]): Rule[] {
  return earlier.filter(rule => !later.some(other => implies(other, rule)))
}

function implies(a: Rule, b: Rule): boolean {
  if (a.level === 'warn' && b.level === 'fail') return false
  if (a.unit !== b.unit || JSON.stringify(a.subject) !== JSON.stringify(b.subject)) return false
  if (above(a.operator) !== above(b.operator)) return false
  if (a.threshold === b.threshold) return a.operator === b.operator || a.operator.endsWith('=')
  return above(a.operator) ? a.threshold < b.threshold : a.threshold > b.threshold
}

function above(operator: Operator): boolean {
  return operator.startsWith('>')
}
