import { workspaceOf } from '../bytes/workspace.ts'
import type { Settings } from '../config/settings.ts'
import { isJudged } from '../github/base-commit.ts'
import { parseBaselineSource } from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import type { BaselineRecord, PolicyRecord, Report } from '../report/schema.ts'
import { whyBaseModel } from './baseline.ts'
import { pathWithin } from './checkout.ts'
import type { Rules } from './rules.ts'
import { workflowOnBase } from './workflow.ts'

export interface Evidence {
  readonly rules: Rules
  /** The report of what judged the base branch. */
  readonly earlier: (Report & { policy: PolicyRecord }) | undefined
  /** Why it is not known whether there is one; empty where it is. */
  readonly hidden: string
  /** Options that parts were made with, and the base branch was not. */
  readonly fixed: readonly string[]
  /** Rules of the base branch that can't be read. */
  readonly unread: readonly string[]
  /** As it is set. */
  readonly baseline: string
  readonly search: BaselineRecord | undefined
  readonly options: Settings['options']
  /** Whether the base model is read here: not where parts are merged. */
  readonly isRead: boolean
}

/** Why nothing can be decided, whatever the rules say; undefined where it can. */
export async function whyUndecided(context: Context, evidence: Evidence): Promise<string | undefined> {
  const { rules, earlier, hidden, fixed, unread, baseline, search, options, isRead } = evidence
  if (!isJudged(context)) return undefined
  if (fixed.length > 0)
    return `the parts were made with other options (${fixed.join(', ')}) than those of the base branch`
  if (unread.length > 0) return `a rule of the base branch can't be read: ${unread.join('; ')}`
  if (rules.unreadable && (hidden || (!rules.unusable && !earlier)))
    return 'neither the config file of the base branch nor a report of what judged it can be read'
  if (hidden && (await workflowOnBase(context)).state === 'other')
    return `this change edits the workflow, and the report of what judged the base branch can’t be read: ${hidden}`
  // Whether the base branch was judged with a file of a step's that the change brings one in the place of.
  const wasGiven = async (option: keyof typeof KEYS, path: string, before: string) => {
    if (rules.ofBase && rules.inForce.config.settings[option] === path) return true
    if (earlier) return before === path
    const { text } = await workflowOnBase(context)
    return text === undefined || says(text, option, path)
  }
  if (search && parseBaselineSource(baseline).kind === 'path') {
    if (search.state !== 'first-run') return search.reason
    if (await wasGiven('baseline', baseline, earlier?.policy.settings.baseline ?? ''))
      return `this change brings the baseline ${baseline}, where the base branch was compared with what a step made`
  }
  const isFirst = async (path: string) => !(await wasGiven('base-model', path, earlier?.options.base_model ?? ''))
  return whyBaseModel(context, options, { isRead, isFirst })
}

const KEYS = {
  baseline: /(?:^|[\s{,'"])baseline['"]?\s{0,16}:[^:]{0,256}$/,
  'base-model': /(?:^|[\s{,'"])base-model['"]?\s{0,16}:[^:]{0,256}$/,
}

/** Whether a workflow names a path, or has an expression where it would. */
function says(workflow: string, option: keyof typeof KEYS, path: string): boolean {
  const own = pathWithin(workspaceOf(), path) ?? path
  // As other spellings of the path (`m//b`, `m/./b`) have it.
  const around = workflow.replace(/\/(?:\.?\/)+/g, '/').split(own)
  const isWhole = (before: string, after: string) => !/[\w.-]$/.test(before) && !/^[\w./-]/.test(after)
  if (around.slice(1).some((after, i) => isWhole(around[i], after))) return true
  const before = workflow.split('${{').slice(0, -1)
  return before.some(text => KEYS[option].test(text.slice(-512)))
}
