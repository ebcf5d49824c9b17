import * as core from '@actions/core'
import { workspaceOf } from '../bytes/workspace.ts'
import { NO_CONFIG } from '../config/file.ts'
import {
  analysisOptions,
  analysisValues,
  impose,
  isSetIn,
  type Layers,
  overridden,
  policyRecord,
  recorded,
  stricterSettings,
  withoutInputs,
} from '../config/in-force.ts'
import { readSettings, type Settings } from '../config/settings.ts'
import { FILE_NAMES, type FileName } from '../config/table.ts'
import { baseRef, isJudged } from '../github/base-commit.ts'
import { workflowPath } from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import type { GatePolicy } from '../pipeline/gate.ts'
import { REPLACEABLE, speaksOf } from '../policy/judge.ts'
import { loosenedRules } from '../policy/loosening.ts'
import { parseRule, type Rule } from '../policy/rule.ts'
import { printable, printableLines } from '../render/escape.ts'
import { isAdded } from '../report/analyses.ts'
import type { AnalysisOptions, GateChange, PolicyRecord, Report } from '../report/schema.ts'
import { announce, isTrusted, type ResolvedBaseline, resolveBaseline, search } from './baseline.ts'
import { pathWithin } from './checkout.ts'
import { type Publishing, readPublishing } from './publishing.ts'
import type { Rules } from './rules.ts'
import { whyUndecided } from './undecided.ts'
import { workflowOnBase } from './workflow.ts'

/** Everything that decides, with what it is compared with. */
export interface Settled extends Pick<ResolvedBaseline, 'baseline' | 'search'> {
  readonly settings: Settings
  readonly publishing: Publishing
  readonly governed: GatePolicy
}

/** What parts were made with, which can't be changed any more. */
export interface Made {
  readonly options: AnalysisOptions
  /** The option, of all parts that differ in it. */
  readonly stateDict: string
}

/**
 * The gate in force, and the baseline. The report of the baseline tells what judged it: rules that the change would drop or loosen
 * are evaluated all the same, and options that can let something pass stay as they were.
 * @throws UserError naming the option, or where a required baseline is missing
 */
export async function settle(context: Context, rules: Rules, made?: Made): Promise<Settled> {
  const said = await readAll(context, rules.inForce)
  const resolved = await resolveBaseline(context, said.settings, said.publishing)
  const { earlier, hidden = '' } = isJudged(context)
    ? await earlierGate(context, said.publishing, resolved, said.layers)
    : {}
  const { own, others } = earlier ? { own: said, others: [] } : await withAnalysisOfBase(context, rules, said, made)
  const gate = await withWhatHolds(context, rules, made, { own, resolved, earlier })
  const settings = { ...gate.settings, baseline: gate.resolved.settings.baseline }
  announce(gate.resolved, gate.publishing)
  const policy = recordOf(gate.layers, rules, settings, made)
  const compared = rules.proposed && (await compareGates(rules, { settings, policy }, made))
  const fixed = made && earlier ? otherThanMade(earlier, made) : others
  const change = withOptions(compared?.change, fixed, made)
  if (change) sayChange(change)
  const { baseline, search } = gate.resolved
  return {
    settings,
    publishing: gate.publishing,
    baseline,
    search,
    governed: {
      policy: await published(context, rules, policy, made),
      change,
      proposed: compared?.proposed,
      undecided: await whyUndecided(context, {
        ...{ rules, earlier, hidden, search, unread: gate.unread },
        fixed: fixed.map(([name]) => name),
        baseline: recorded(gate.layers).baseline ?? '',
        // What the parts were made with, unless the step that merges them says it as well.
        options: settings.options.base_model === undefined && made ? made.options : settings.options,
        isRead: made === undefined,
      }),
    },
  }
}

/** Layers of options, and what is read of them. */
interface Options {
  readonly layers: Layers
  readonly settings: Settings
  readonly publishing: Publishing
}

async function readAll(context: Context, layers: Layers): Promise<Options> {
  return { layers, settings: await readLayers(layers), publishing: readPublishing(context, layers) }
}

/**
 * Where no report tells what the base branch was analysed with, its config file does, unless the workflow is as it was there.
 * @returns in `others` what parts were made with in place of that
 */
async function withAnalysisOfBase(
  context: Context,
  rules: Rules,
  own: Options,
  made: Made | undefined,
): Promise<{ readonly own: Options; readonly others: Differing }> {
  const names = rules.ofBase ? analysisOptions(own.layers.config) : []
  const ofFile = withoutInputs(own.layers, names)
  const others = otherOptions(await readLayers(ofFile), made ?? own.settings).filter(([name]) => names.includes(name))
  if (others.length === 0 || (await workflowOnBase(context)).state !== 'other') return { own, others: [] }
  return made ? { own, others } : { own: await readAll(context, ofFile), others: [] }
}

/** The gate with those rules and options that the base branch was judged by, or that its config file has, and that this would loosen. */
async function withWhatHolds(
  context: Context,
  rules: Rules,
  made: Made | undefined,
  { own, resolved, earlier }: { own: Options; resolved: ResolvedBaseline; earlier: Earlier | undefined },
): Promise<Options & { readonly resolved: ResolvedBaseline; readonly unread: readonly string[] }> {
  // What the base branch's config file says, inputs say otherwise only where they did before.
  const said = earlier ? (earlier.policy.from_inputs ?? FILE_NAMES) : []
  const over = rules.ofBase ? overridden(own.layers, said) : []
  const isAsBefore = !earlier && over.length > 0 && (await workflowOnBase(context)).state === 'same'
  const newly = isAsBefore ? [] : over
  if (!earlier && newly.length === 0) return { ...own, resolved, unread: [] }
  const ofFile = withoutInputs(own.layers, newly)
  // What the config file said when that was published, it may say no longer; but where inputs say it, that holds.
  const isSameFile = rules.ofBase && rules.path === earlier?.policy.config
  const replaced = new Set(
    (isSameFile ? (earlier?.policy.from_file ?? []) : []).filter(name => !isSetIn(own.layers.inputs, name as FileName)),
  )
  const now = recorded(own.layers)
  const stricter = [
    ...stricterSettings(earlier?.policy.settings ?? now, now).filter(([name]) => !replaced.has(name)),
    ...stricterSettings(recorded(ofFile), now),
  ].filter(([name]) => !(made && name === STATE_DICT))
  const others = made || !earlier ? [] : otherOptions(earlier, own.settings)
  const imposed = await withoutPathsOfRunner(context, own, [...stricter, ...others])
  const gate = imposed.length > 0 ? await readAll(context, impose(own.layers, imposed)) : own
  const again = imposed.some(([name]) => name.startsWith('baseline'))
  const unread: string[] = []
  const published = earlier ? earlierRules(earlier, gate.settings, unread) : []
  const rulesOfFile = newly.length > 0 ? (await readLayers(ofFile)).policy.rules : []
  const before = [...published.filter(({ level }) => !replaced.has(`${level}-if`)), ...rulesOfFile]
  const { policy } = gate.settings
  const always = REPLACEABLE.filter(metric => !speaksOf(before, metric))
  const held = [...policy.rules, ...loosenedRules(before, policy.rules)]
  return {
    ...gate,
    settings: { ...gate.settings, policy: { ...policy, rules: held, ...(earlier && { always }) } },
    resolved: again ? await resolveBaseline(context, gate.settings, gate.publishing) : resolved,
    unread,
  }
}

/**
 * Without those whose files a step has put outside of the workspace, by the base branch's own workflow: their paths may be others in each
 * run (`mktemp`, a revision in a cache).
 */
async function withoutPathsOfRunner(
  context: Context,
  { layers, settings }: Options,
  imposed: Differing,
): Promise<Differing> {
  const paths = new Map([
    ['baseline', settings.baseline],
    ['base-model', settings.baseModel],
  ])
  const isOutside = ([name]: Differing[number]) => {
    const path = paths.get(name)
    return Boolean(path) && pathWithin(workspaceOf(), path!) === undefined && isSetIn(layers.inputs, name)
  }
  if (!isJudged(context) || !imposed.some(isOutside)) return imposed
  return (await workflowOnBase(context)).state === 'same' ? imposed.filter(one => !isOutside(one)) : imposed
}

type Earlier = Report & { policy: PolicyRecord }
/** Options with the values that they had. */
type Differing = [FileName, string | readonly string[]][]

/** The report of the same gate on the branch that this goes into, where it says what judged it; or why that can't be had. */
async function earlierGate(
  context: Context,
  publishing: Publishing,
  { found: searched }: ResolvedBaseline,
  { config }: Layers,
): Promise<{ readonly earlier?: Earlier; readonly hidden?: string }> {
  // What another workflow publishes was judged by that one's rules.
  const own = !publishing.baselineWorkflow || context.workflowPath === workflowPath(publishing.baselineWorkflow)
  // Nor does another branch of the change's choice.
  const ofBase = publishing.baselineBranch === '' || `refs/heads/${searched?.branch}` === baseRef(context)
  const ofConfig = readPublishing(context, { config, inputs: NO_CONFIG }).baselineArtifact
  // A key in the base branch's config file is the gate's: another among the inputs is another gate's.
  const { 'baseline-key': key, 'baseline-artifact': artifact } = config.publishing
  const pinned = (key || artifact) && publishing.baselineArtifact !== ofConfig
  if (!pinned && own && ofBase && searched?.report?.policy && isTrusted(context, searched))
    return { earlier: searched.report as Earlier }
  let hidden = ''
  // The options that say where to look may be what the change alters: where the config file alone says, then, or by default.
  const byDefault = { baselineBranch: '', baselineWorkflow: '', baselineMaxAge: undefined }
  const names = [...(pinned ? [] : [publishing.baselineArtifact]), ofConfig, publishing.defaultBaseline]
  for (const baselineArtifact of new Set(names)) {
    const found = await search(context, { ...publishing, ...byDefault, baselineArtifact })
    if (found.report?.policy && isTrusted(context, found)) return { earlier: found.report as Earlier }
    if (['forbidden', 'unreachable', 'expired', 'invalid'].includes(found.state)) hidden ||= found.reason
  }
  return { hidden }
}

/** @param unread takes those that can't be read */
function earlierRules({ policy, figures = [] }: Earlier, settings: Settings, unread: string[]): Rule[] {
  const names = [...settings.figures, ...figures].map(({ name }) => name)
  return policy.rules.flatMap(({ rule, level }) => {
    try {
      return [parseRule(rule, level, names)]
    } catch {
      unread.push(rule.slice(0, 200))
      return []
    }
  })
}

/** The change, with options of the parts that are others than the base branch's. */
function withOptions(change: GateChange | undefined, fixed: Differing, made: Made | undefined): GateChange | undefined {
  if (fixed.length === 0 || !made) return change
  const now = new Map([...analysisValues(made), [STATE_DICT, made.stateDict]])
  const changes = fixed.map(([option, old]) => ({ option, old: text(old), new: text(now.get(option)) }))
  const none: GateChange = { introduced: false, unreadable: '', changes: [], proposed: null }
  return { ...(change ?? none), changes: [...(change?.changes ?? []), ...changes] }
}

/** The options of the analysis that the base branch used, where this would use others, or lack an analysis. */
function otherOptions({ options }: Pick<Earlier, 'options'>, settings: Pick<Settings, 'options'>): Differing {
  const now = new Map(analysisValues(settings))
  const lacks = (name: FileName, value: string | readonly string[]) =>
    !isAdded(name) || !['false', '0'].includes(String(value))
  return analysisValues({ options }).filter(
    ([name, value]) => JSON.stringify(now.get(name)) !== JSON.stringify(value) && lacks(name, value),
  )
}

const STATE_DICT = 'state-dict'

/** As `otherOptions`, of parts. */
function otherThanMade(earlier: Earlier, made: Made): Differing {
  const before = earlier.policy.settings[STATE_DICT] ?? ''
  return [
    ...otherOptions(earlier, made),
    ...(before === made.stateDict ? [] : [[STATE_DICT, before] as [FileName, string]]),
  ]
}

/** What judges; the state dict is that of the parts, where there are any. */
function recordOf(layers: Layers, { path }: Rules, settings: Settings, made: Made | undefined): PolicyRecord {
  const record = policyRecord(layers, settings, path)
  if (!made) return record
  const { [STATE_DICT]: _, ...others } = record.settings
  return { ...record, settings: made.stateDict ? { ...others, [STATE_DICT]: made.stateDict } : others }
}

/** What the report says judged it. That of a merge group is the branch's once it is merged: what judges from then on, too. */
async function published(
  { mergeGroup }: Context,
  rules: Rules,
  policy: PolicyRecord,
  made: Made | undefined,
): Promise<PolicyRecord> {
  const { proposed } = rules
  return mergeGroup && proposed ? recordOf(proposed, rules, await readLayers(proposed), made) : policy
}

interface InForce {
  readonly settings: Settings
  readonly policy: PolicyRecord
}

async function compareGates(all: Rules, { settings, policy }: InForce, made: Made | undefined) {
  const { proposed, introduced, unreadable } = all
  const theirs = await readLayers(proposed!)
  const { rules, settings: options } = recordOf(proposed!, all, theirs, made)
  const changes: GateChange['changes'] = []
  const differs = (option: string, old: string, now: string) => {
    const [before, after] = [old, now].map(value => value.slice(0, 65_536))
    if (old !== now) changes.push({ option, old: before, new: after })
  }
  for (const level of ['fail', 'warn'] as const) {
    const [old, now] = [policy.rules, rules].map(list => list.filter(one => one.level === level).map(one => one.rule))
    const only = (these: string[], others: string[]) => these.filter(rule => !others.includes(rule)).join('\n')
    differs(`${level}-if`, only(old, now), only(now, old))
  }
  const names = new Set([...Object.keys(policy.settings), ...Object.keys(options)])
  for (const name of [...names].sort()) differs(name, policy.settings[name] ?? '', options[name] ?? '')
  const old = new Map(analysisValues(settings))
  for (const [name, value] of analysisValues(theirs)) differs(name, text(old.get(name)), text(value))
  if (changes.length === 0 && !introduced && !unreadable) return { change: undefined, proposed: undefined }
  const change: GateChange = { introduced, unreadable, changes, proposed: null }
  return { change, proposed: changes.length > 0 ? { policy: theirs.policy, options: theirs.options } : undefined }
}

function sayChange({ introduced, unreadable, changes }: GateChange): void {
  if (unreadable) core.warning(printableLines(`${unreadable}\nOptions that can let something pass are ignored.`))
  if (introduced) core.info('The base branch has no config file: this pull request brings the first one.')
  if (changes.length === 0) return
  const names = changes.map(({ option }) => option).join(', ')
  core.warning(printable(`This change would alter the gate (${names}). It is judged by the gate as it is.`))
}

function readLayers({ config, inputs }: Layers): Promise<Settings> {
  return readSettings(config.settings, inputs.settings)
}

function text(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : (value ?? []).join('\n')
}
