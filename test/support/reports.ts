import { aggregates } from '../../src/metrics/summary.ts'
import type { Layer, Model, Report } from '../../src/report/schema.ts'
import { layer, many, model } from './models.ts'
import { report } from './report.ts'

const esd = { log10_edges: [0, 1], counts: [64] }

const provenance = {
  ...{ repository: 'acme/net', commit: '0123456789abcdef0123456789abcdef01234567', ref: 'refs/pull/7/merge' },
  ...{ event: 'pull_request', workflow: 'gate', run_id: 12, run_attempt: 1, time: '2026-03-04T12:00:00Z' },
  run_url: 'https://github.com/acme/net/actions/runs/12',
}
const summaryOf = (alpha: number) => ({
  ...{ alpha, alpha_weighted: 2 * alpha, log_norm: 1, log_alpha_norm: 2, log_spectral_norm: 0.5, stable_rank: 9 },
})
const point = (day: number, alpha: number, accuracy?: number) => ({
  ...{ commit: `${day}`.repeat(40), time: `2026-03-0${day}T00:00:00Z`, run_id: day },
  models: [{ name: 'net', summary: summaryOf(alpha) }],
  ...(accuracy !== undefined && { figures: [{ name: 'accuracy', value: accuracy }] }),
})
const baseline = {
  ...{
    state: 'ancestor' as const,
    reason: 'Compared with a commit 3 before `main`.',
    branch: 'main',
    wanted: 'f'.repeat(40),
  },
  ...{ commit: 'abcdef0123456789abcdef0123456789abcdef01', run_id: 11, time: '2026-03-01T12:00:00Z', distance: 3 },
  run_url: 'https://github.com/acme/net/actions/runs/11',
  history: [point(1, 2, 0.8), point(2, 3, 0.9), point(3, 4)],
}
export const skipped = [
  { tensor: 'bn.weight', shape: [8], dtype: 'F32', code: 'rank' as const, reason: '1-D', digest: 'n' },
  { tensor: 'bn.bias', shape: [8], dtype: 'F32', code: 'rank' as const, reason: '1-D', digest: 'm' },
  { tensor: 'step', shape: [], dtype: 'I64', code: 'dtype' as const, reason: 'I64 is not a floating-point type' },
]

export const head = {
  ...model('net', [
    layer('stem', 2.5, { layer_type: 'conv2d', shape: [16, 3, 3, 3], rf: 9, num_evals: 27, M: 3, N: 16, digest: 'a' }),
    layer('block.0', 3.125, { sigma: 0.1, warning: '', digest: 'b' }),
    layer('block.1', 9.5, { sigma: 4, warning: 'under-trained', digest: 'c' }),
    layer('dead', null, { lambda_max: 0, log_spectral_norm: null, digest: 'd' }),
    layer('flat', 1500, { status: 'degenerate', sigma: null, digest: 'e' }),
    layer('new', 1.5, { warning: 'over-trained', digest: 'f' }),
    layer('same', 4, { digest: 'g2' }),
  ]),
  skipped,
}
const base = {
  ...model('net', [
    layer('stem', 2.75, { layer_type: 'conv2d', shape: [16, 3, 3, 3], digest: 'a0' }),
    layer('block.0', 2.5, { sigma: 0.1, digest: 'b0' }),
    layer('block.1', 3, { sigma: 0.3, digest: 'c0' }),
    layer('dead', 3, { digest: 'd0' }),
    layer('flat', null, { digest: 'e0' }),
    layer('gone', 3, { digest: 'h' }),
    layer('same', 4, { digest: 'g' }),
  ]),
  skipped: [
    { ...skipped[0], digest: 'n0' },
    { ...skipped[1], tensor: 'old.bias' },
  ],
}
const RULES = ['any(alpha) > 8', 'delta(alpha) > 5%', 'delta(layers) > 3', 'alpha[nowhere] > 2', 'coverage < 0.5']
const full: Report = {
  ...report([head], [base], RULES),
  figures: [
    { name: 'accuracy', value: 0.875, better: 'higher' },
    { name: 'loss', value: 0.25, better: 'lower' },
    { name: 'steps', value: 1200 },
  ],
  baseline,
  provenance,
}
full.comparison!.figures = [
  { name: 'accuracy', better: 'higher', head: 0.875, base: 0.9, change: -0.025 },
  { name: 'loss', better: 'lower', head: 0.25, base: 0.5, change: -0.25 },
  { name: 'steps', head: 1200, base: null, change: null },
]
const error = layer('broken', null, {
  status: 'error',
  error: { code: 'non-finite', message: 'NaN at index [0, 1]' },
  esd,
})
const nan = {
  ...model('net', [layer('a', 2), error]),
  skipped: [{ ...skipped[0], non_finite: 'Infinity at index [3]' }],
}
nan.summary.non_finite = 2

const two = report(
  [model('one', [layer('x', 3), layer('y', null)]), model('two', [layer('x', 2)]), model('three', [layer('x', 2)])],
  [model('one', [layer('x', 2), layer('y', 2)]), model('two', [layer('x', 2)]), model('four', [layer('x', 2)])],
  ['alpha > 2.5', 'delta(alpha) > 0.5'],
)
const quiet = report([model('net', [layer('a', 2)])], [model('net', [layer('a', 2)])], [])
const first = report([model('net', [layer('a', 2)])], undefined, ['delta(alpha) > 1'])
const incomparable: Report = {
  ...full,
  comparison: {
    ...full.comparison!,
    status: 'incomparable',
    reason: 'min_evals is 10, but the baseline was made with 50',
  },
}
/** Layers of a small transformer whose tails were measured: alpha_hill and S of each, and what else. */
function judged(of: readonly [hill: number, S: number, more?: Partial<Layer>][], shift = 0): Model {
  const names = ['embed', ...[0, 1, 2].flatMap(i => ['self_attn.q_proj', 'mlp.fc1'].map(name => `layers.${i}.${name}`))]
  const layers = of.map(([alpha_hill, S, more = {}], i) =>
    layer(names[i] ?? `layers.${i}.extra`, alpha_hill + 0.3, {
      ...{ alpha_hill, sigma_hill: 0.2, S, log_norm: 2 + shift, digest: `${shift}${i}` },
      quantiles: Array.from({ length: 101 }, (_, p) => (p * (1 + shift * i)) / 50),
      sketch: Array.from({ length: 8 }, (_, k) => Math.sin(i + k) + shift * Math.cos(3 * k)),
      ...more,
    }),
  )
  return { ...model('net', layers), ...aggregates(layers, []) }
}
const few = { num_evals: 20, M: 20 }
const before = judged([
  [3, 20],
  [3, 9],
  [4, 12],
  [3, 0.5],
  [2.5, 8, few],
  [3, 30],
  [1.9, 7],
])
const moved = judged(
  [
    [3.6, 19],
    [2.2, 12],
    [9, 10],
    [3.1, 0.4],
    [3.5, 8, few],
    [3, 30],
    [1.8, 9],
  ],
  0.01,
)
const calm = judged(
  [
    [3.02, 19],
    [3.01, 9],
    [4, 12],
    [3, 0.5],
    [2.5, 8, few],
    [3, 30],
    [1.9, 7],
  ],
  0.001,
)
const heavier = judged(
  [
    [2.5, 25],
    [2.6, 12],
    [3.2, 14],
    [2.7, 0.5],
    [2.1, 8, few],
    [2.5, 30],
    [1.7, 9],
  ],
  0.01,
)
const deeper = judged(
  [...Array.from({ length: 7 }, (_, i) => [3, 5 + i] as [number, number]), [3, 9], [2.5, 9], [2.2, 9], [2, 9]],
  0.01,
)
const history = { ...baseline, history: [...baseline.history, point(4, 3.5, 0.85), point(5, 3.2), point(6, 3)] }
const slices = judged([
  [3, 9, { part: 'slice 0', layer_type: 'conv2d', tensor: 'conv.weight', name: 'conv' }],
  [3, 9, { part: 'slice 1', layer_type: 'conv2d', tensor: 'conv.weight', name: 'conv' }],
])

/** Reports in which everything that a view can say is said. */
export const REPORTS: Record<string, Report> = {
  full,
  nan: report([nan], undefined, ['alpha > 9']),
  models: two,
  unchanged: quiet,
  'first-run': first,
  incomparable,
  accepted: {
    ...first,
    verdict: {
      ...{ ...first.verdict!, status: 'accepted', fails_job: false, enforced: false },
      accepted: { label: 'ok', by: 'someone', at: '2026-03-04T12:00:00Z', was: 'failed' },
      refused: { label: 'also', reason: 'it was set by a bot' },
    },
  },
  judged: {
    ...report([moved], [before], ['primary > 0.2', 'any(delta(alpha)) > 2 sigma', 'delta(log_norm) > 5%']),
    baseline: history,
    figures: [{ name: 'accuracy', value: 0.875, better: 'higher' }],
    provenance,
  },
  calm: { ...report([calm], [before], []), baseline: history },
  heavier: report([heavier], [before], ['primary < -0.3']),
  resized: report([deeper], [before], ['delta(alpha) > 1']),
  unrelated: report([model('net', [layer('x.fc', 3)])], [before], []),
  renamed: { ...report([{ ...moved, name: 'new' }], [before], []), baseline: { ...baseline, history: [] } },
  operator: {
    ...report([{ ...slices, whole: [{ tensor: 'a.qkv.weight', reason: 'where depends on heads' }] }], undefined, []),
    options: { ...quiet.options, conv2d: 'operator', conv_grid: 8, conv_dims: 'all' },
  },
  slices: { ...report([slices], [slices], []), options: { ...quiet.options, conv2d: 'slices' } },
  nothing: { ...quiet, models: [], comparison: { ...quiet.comparison!, models: [], removed: ['old', 'older'] } },
  part: {
    ...({ ...quiet, verdict: undefined, comparison: undefined } as unknown as Report),
    part: { shard: { index: 1, of: 2 }, reuse: true, models: [{ layers: 3, positions: [0] }] },
  },
  'gate-change': {
    ...quiet,
    gate_change: {
      introduced: true,
      unreadable: 'The file .github/spectral-gate.yml of main can’t be read.',
      changes: [
        { option: 'fail-if', old: 'alpha > 6\nfailed > 0', new: 'alpha > 9' },
        { option: 'enforce', old: '', new: 'false' },
      ],
      proposed: { status: 'warned', fails_job: true },
    },
  },
  large: report(
    [
      model(
        'net',
        many(60, i => 2 + i / 10),
      ),
    ],
    [
      model(
        'net',
        many(60, () => 2),
      ),
    ],
    ['alpha > 1'],
  ),
}
