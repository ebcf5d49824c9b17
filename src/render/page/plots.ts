import type { SummaryMetric } from '../../report/columns.ts'
import { SUMMARY_METRICS } from '../../report/columns.ts'
import type { Judgement, Model, Report, Verdict } from '../../report/schema.ts'
import { isJudged } from '../../report/state.ts'
import { extremes } from '../../statistics.ts'
import { short } from '../escape.ts'
import { format, formatChange, formatReal, plural } from '../numbers.ts'
import { at, scale } from '../scale.ts'
import { trendPoints } from '../trend.ts'
import { across, axes, type Frame, figure, frame, type Key, mark, numbers, type Shape, svg, upward } from './chart.ts'
import { type Element, h } from './element.ts'
import type { Kind, Seen } from './layers.ts'

/** A colour is never alone in telling a state. */
const STATES: Record<Kind, { readonly shape: Shape; readonly text: string }> = {
  well: { shape: 'circle', text: 'alpha 2 to 6' },
  over: { shape: 'triangle', text: 'below 2, over-trained' },
  under: { shape: 'square', text: 'above 6, under-trained' },
  unfitted: { shape: 'cross', text: 'no fit' },
}
const BAND = [2, 6] as const
/** Names fit below so many layers. */
const NAMED = 40
/** What stands out beyond this is drawn at the edge. */
const TALL = 12

function keysOf(seen: readonly Seen[], compared: boolean): Key[] {
  const kinds = (Object.keys(STATES) as Kind[]).filter(kind => seen.some(one => one.kind === kind))
  return [
    ...kinds.map(kind => ({ kind: `s-${kind}`, ...STATES[kind] })),
    ...(compared ? [{ kind: 's-base', shape: 'circle', text: 'base' } as const] : []),
  ]
}

/** A mark that says its layer, and opens it. */
function dot(seen: Seen, x: number, y: number, text: string, size = 4): Element {
  const { shape } = STATES[seen.kind]
  return h(
    'g',
    { class: `dot s-${seen.kind}`, 'data-layer': seen.place - 1 },
    mark(shape, x, y, size),
    h('title', {}, `${nameOf(seen)}: ${text}`),
  )
}

function nameOf({ layer }: Seen): string {
  return short(layer.part === undefined ? layer.name : `${layer.name} ${layer.part}`)
}

/** Layers up to which each is joined with the next; of more the running median is drawn. */
const JOINED = 80

/** The median over a window of neighbours, so that the course shows through many layers. */
function running(points: readonly (readonly [number, number])[]): readonly (readonly [number, number])[] {
  if (points.length <= JOINED) return points
  const reach = Math.max(2, Math.round(points.length / 60))
  return points.map(([x], i) => {
    const near = points.slice(Math.max(0, i - reach), i + reach + 1).map(([, y]) => y)
    return [x, near.sort((a, b) => a - b)[near.length >> 1]] as const
  })
}

/** The scale of alphas: where a few are far above the others, those are drawn at the edge. */
function ceiling(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b)
  const most = ascending[ascending.length - 1] ?? TALL
  const usual = ascending[Math.floor(0.9 * (ascending.length - 1))] ?? TALL
  return most > TALL ? Math.min(most, Math.max(TALL, 1.4 * usual)) : most
}

const shown = (value: number | null) => formatReal(value)

/** alpha by depth through the network, head and base together: the correlation flow. */
export function flow(seen: readonly Seen[], compared: boolean): Element {
  const named = seen.length <= NAMED
  const many = seen.length > JOINED
  const room = frame(960, named ? 400 : 340, { bottom: named ? 122 : 42, left: 50 })
  const [x0, x1] = across(room)
  const x = scale([0.5, seen.length + 0.5], [x0, x1], { room: 0, wanted: 10 })
  const alphas = seen.flatMap(({ layer, base }) => [layer.alpha, base?.alpha ?? null].filter(value => value !== null))
  const [lowest, highest] = extremes(alphas)
  const top = ceiling(alphas)
  const y = scale([0.8, Math.max(6.6, top)], upward(room), { room: 0.02 })
  const floor = room.height - room.bottom
  const yOf = (alpha: number) => y.of(Math.min(Math.max(alpha, 0.8), Math.max(6.6, top)))
  const path = (points: readonly (readonly [number, number])[]) =>
    points.length > 1 ? points.map(([a, b], i) => `${i ? 'L' : 'M'}${at(a)} ${at(b)}`).join('') : undefined
  const headLine = seen.flatMap(({ place, layer }) =>
    layer.alpha === null ? [] : [[x.of(place), yOf(layer.alpha)] as const],
  )
  const baseLine = seen.flatMap(({ place, base }) =>
    base?.alpha == null ? [] : [[x.of(place), yOf(base.alpha)] as const],
  )
  const step = x.ticks.filter(tick => Number.isInteger(tick) && tick >= 1)
  const size = seen.length > 200 ? 2.5 : seen.length > 80 ? 3.2 : 4.5
  const chart = svg(
    room,
    `alpha of ${plural(seen.length, 'layer')} in the order of the network${alphas.length > 0 ? `, from ${format(lowest, 2)} to ${format(highest, 2)}` : ''}`,
    h('path', { class: 'band', d: `M${x0} ${at(y.of(BAND[1]))}H${x1}V${at(y.of(BAND[0]))}H${x0}z` }),
    axes(
      room,
      {
        scale: x,
        label: named ? '' : 'layer, in the order of the network',
        ticks: named ? seen.map(one => [one.place, short(nameOf(one), 22)]) : step.map(tick => [tick, String(tick)]),
        aslant: named,
      },
      { scale: y, label: 'alpha' },
    ),
    baseLine.length > 1
      ? h('path', { class: `thread s-base${many ? ' median' : ''}`, d: path(running(baseLine)) })
      : [],
    headLine.length > 1
      ? h('path', { class: `thread s-head${many ? ' median' : ''}`, d: path(running(headLine)) })
      : [],
    seen.flatMap(({ place, base, ...one }) =>
      base?.alpha == null
        ? []
        : [
            h(
              'g',
              { class: 'dot s-base', 'data-layer': place - 1 },
              mark('circle', x.of(place), yOf(base.alpha), size - 0.5),
              h('title', {}, `${nameOf({ place, base, ...one })}: base ${shown(base.alpha)}`),
            ),
          ],
    ),
    seen.flatMap(one => {
      const { layer, place, base } = one
      if (layer.alpha === null || one.kind === 'unfitted') return [dot(one, x.of(place), floor - 8, layer.status, size)]
      const sigma = layer.sigma ?? 0
      const said = `alpha ${shown(layer.alpha)} ± ${format(layer.sigma, 2)}${base?.alpha == null ? '' : `, base ${shown(base.alpha)}`}`
      return [
        h('path', {
          class: `error s-${one.kind}${many ? ' faint' : ''}`,
          d: `M${at(x.of(place))} ${at(yOf(layer.alpha - sigma))}V${at(yOf(layer.alpha + sigma))}`,
        }),
        dot(one, x.of(place), yOf(layer.alpha), said, size),
      ]
    }),
  )
  const high = alphas.filter(alpha => alpha > Math.max(6.6, top)).length
  const caption = `Well-trained layers lie in the band from 2 to 6. Bars are the standard error sigma.${many ? ' Lines are medians of neighbours.' : ''}${high > 0 ? ` ${plural(high, 'value')} above ${format(top, 1)} ${high === 1 ? 'stands' : 'stand'} at the upper edge.` : ''}`
  return figure('alpha by depth', caption, chart, keysOf(seen, compared), undefined, 'wide')
}

const SMALL = frame(350, 270, { left: 46 })

/** The histogram of alphas. */
export function alphas(seen: readonly Seen[], compared: boolean): Element | undefined {
  const head = seen.flatMap(({ layer, kind }) => (layer.alpha === null || kind === 'unfitted' ? [] : [layer.alpha]))
  const base = compared ? seen.flatMap(({ base }) => base?.alpha ?? []) : []
  if (head.length + base.length === 0) return undefined
  const top = ceiling([...head, ...base])
  const width = [0.1, 0.2, 0.25, 0.5, 1, 2, 5].find(width => top / width <= 36) ?? top / 36
  const count = Math.floor(top / width) + 1
  const into = (values: readonly number[]) => {
    const bins = new Array<number>(count).fill(0)
    for (const value of values) bins[Math.max(0, Math.min(count - 1, Math.floor(value / width)))]++
    return bins
  }
  const [heads, bases] = [into(head), into(base)]
  const least = Math.max(0, extremes([...head, ...base])[0] - 2 * width)
  const from = Math.max(0, Math.min(count - 1, Math.floor(Math.min(least, 1.5) / width)))
  const x = scale([from * width, count * width], across(SMALL), { room: 0 })
  const y = scale([0, ...heads, ...bases], upward(SMALL), { room: 0.0, wanted: 4 })
  const floor = SMALL.height - SMALL.bottom
  const bars = (bins: readonly number[]) =>
    `M${at(x.of(from * width))} ${floor}${bins.map((bin, i) => (i < from ? '' : `V${at(y.of(bin))}H${at(x.of((i + 1) * width))}`)).join('')}V${floor}`
  const [, ceil] = upward(SMALL)
  const chart = svg(
    SMALL,
    `Histogram of the alphas of ${plural(head.length, 'layer')}`,
    h('path', {
      class: 'band',
      d: `M${at(x.of(Math.max(from * width, BAND[0])))} ${floor}V${ceil}H${at(x.of(Math.min(BAND[1], count * width)))}V${floor}z`,
    }),
    axes(
      SMALL,
      { scale: x, label: 'alpha' },
      { scale: y, label: 'layers', ticks: y.ticks.filter(Number.isInteger).map(tick => [tick, String(tick)]) },
    ),
    h('path', { class: 'head-area', d: bars(heads) }),
    base.length > 0 ? h('path', { class: 'base-line', d: bars(bases) }) : [],
  )
  const rows = heads.flatMap((bin, i) =>
    bin + bases[i] > 0
      ? [
          [
            `${format(i * width, 2)} to ${format((i + 1) * width, 2)}`,
            String(bin),
            ...(compared ? [String(bases[i])] : []),
          ],
        ]
      : [],
  )
  const keys: Key[] = [
    { kind: 'head-area', shape: 'area', text: 'head' },
    ...(base.length > 0 ? [{ kind: 'base-line', shape: 'line', text: 'base' } as const] : []),
  ]
  return figure(
    'How the alphas lie',
    'How many layers have which alpha.',
    chart,
    keys,
    numbers(['alpha', 'head', ...(compared ? ['base'] : [])], rows, 'Layers by alpha'),
  )
}

/** alpha against the quality of its fit. */
export function fits(seen: readonly Seen[]): Element | undefined {
  const fitted = seen.filter(({ layer, kind }) => kind !== 'unfitted' && layer.alpha !== null && layer.D !== null)
  if (fitted.length === 0) return undefined
  const top = ceiling(fitted.map(({ layer }) => layer.alpha!))
  const x = scale([1.5, ...fitted.map(({ layer }) => Math.min(top, layer.alpha!))], across(SMALL))
  const y = scale([0, ...fitted.map(({ layer }) => layer.D!)], upward(SMALL), { room: 0.04 })
  const [x0, x1] = across(SMALL)
  const [floor, ceil] = upward(SMALL)
  const [b0, b1] = BAND.map(edge => Math.max(x0, Math.min(x1, x.of(edge))))
  const chart = svg(
    SMALL,
    `D against alpha of ${plural(fitted.length, 'layer')}`,
    h('path', { class: 'band', d: `M${at(b0)} ${floor}V${ceil}H${at(b1)}V${floor}z` }),
    axes(SMALL, { scale: x, label: 'alpha' }, { scale: y, label: 'D' }),
    fitted.map(one =>
      dot(
        one,
        x.of(Math.min(top, one.layer.alpha!)),
        y.of(one.layer.D!),
        `alpha ${shown(one.layer.alpha)}, D ${format(one.layer.D)}`,
      ),
    ),
  )
  return figure(
    'alpha and the quality of its fit',
    'The smaller D, the better a power law describes the tail. An alpha with a large D says little.',
    chart,
    keysOf(fitted, false),
  )
}

/** Head against base, layer by layer. */
export function headAndBase(seen: readonly Seen[]): Element | undefined {
  const both = seen.filter(({ layer, base }) => layer.alpha !== null && base?.alpha != null)
  if (both.length === 0) return undefined
  const values = both.flatMap(({ layer, base }) => [layer.alpha!, base!.alpha!])
  const top = ceiling(values)
  const cut = (value: number) => Math.min(top, value)
  const x = scale(values.map(cut), across(SMALL))
  const y = scale(values.map(cut), upward(SMALL))
  const [low, high] = extremes(values.map(cut))
  const chart = svg(
    SMALL,
    `alpha of the head against the base, ${plural(both.length, 'layer')}`,
    axes(SMALL, { scale: x, label: 'alpha of the base' }, { scale: y, label: 'alpha of the head' }),
    h('path', { class: 'equal', d: `M${at(x.of(low))} ${at(y.of(low))}L${at(x.of(high))} ${at(y.of(high))}` }),
    both.map(one =>
      dot(
        one,
        x.of(cut(one.base!.alpha!)),
        y.of(cut(one.layer.alpha!)),
        `${shown(one.base!.alpha)} → ${shown(one.layer.alpha)}`,
      ),
    ),
  )
  return figure(
    'Head against base',
    'On the line nothing changed. Below it a layer’s alpha fell, its tail became heavier.',
    chart,
    keysOf(both, false),
  )
}

/** A boundary of the built-in rules on the shape of the tails. */
type Limit = Pick<NonNullable<Verdict['tail_limits']>[number], 'name' | 'level' | 'threshold'>

/** Changes larger than this are drawn at the edge. */
const STEEP = 1.2

/**
 * What the built-in judgement stands on: each matched layer's change of the shape of its tail, and the boundaries that their mean is
 * held to.
 * @param noise the band in which changes are expected
 */
export function judgementPlot(
  seen: readonly Seen[],
  judgement: Judgement,
  limits: readonly Limit[],
  noise: { readonly from: number; readonly to: number; readonly text: string },
): Element | undefined {
  const found = seen.flatMap(one =>
    one.shape && one.shape.change !== null ? [{ ...one, moved: one.shape.change, judged: isJudged(one.shape) }] : [],
  )
  if (found.length === 0) return undefined
  const room: Frame = frame(960, 340, { right: 190, left: 58 })
  const [x0, x1] = across(room)
  const x = scale([0.5, seen.length + 0.5], [x0, x1], { room: 0, wanted: 10 })
  const mean = judgement.tail_shape
  const cut = (value: number) => Math.max(-STEEP, Math.min(STEEP, value))
  const y = scale(
    [
      ...found.map(({ moved }) => cut(moved)),
      ...limits.map(({ threshold }) => threshold),
      noise.from,
      noise.to,
      cut(mean ?? 0),
    ],
    upward(room),
    { room: 0.08 },
  )
  const size = found.length > 200 ? 2.5 : 4
  const [floor, top] = upward(room)
  const places = spread(
    [
      ...limits.map(({ name, threshold, level }) => ({
        value: threshold,
        text: `${name} ${formatChange(threshold)}`,
        kind: level === 'fail' ? 'v-failed' : 'v-warned',
      })),
      ...(mean === null ? [] : [{ value: cut(mean), text: `mean ${formatChange(mean)}`, kind: 'mean' }]),
    ].map(one => ({ ...one, y: y.of(one.value) })),
  )
  const chart = svg(
    room,
    `Change of the shape of the tail of ${plural(found.length, 'layer')}, ${found.filter(({ judged }) => judged).length} of them judged; mean ${formatChange(mean)}`,
    h('path', { class: 'noise', d: `M${x0} ${at(y.of(noise.to))}H${x1}V${at(y.of(noise.from))}H${x0}z` }),
    axes(
      room,
      {
        scale: x,
        label: 'layer, in the order of the network',
        ticks: x.ticks.filter(tick => Number.isInteger(tick) && tick >= 1).map(tick => [tick, String(tick)]),
      },
      { scale: y, label: 'change of tail shape' },
    ),
    h('path', { class: 'zero', d: `M${x0} ${at(y.of(0))}H${x1}` }),
    limits.map(({ threshold, level }) =>
      h('path', {
        class: `threshold ${level === 'fail' ? 'v-failed' : 'v-warned'}`,
        d: `M${x0} ${at(y.of(threshold))}H${x1}`,
      }),
    ),
    places.flatMap(({ text, kind, y: own, place }) => [
      h('path', { class: `lead ${kind}`, d: `M${x1} ${at(own)}L${x1 + 12} ${at(place)}` }),
      h('text', { class: `tick ${kind}`, x: x1 + 16, y: at(place + 4) }, text),
    ]),
    found.map(one => {
      const { layer, judged, moved, place, shape } = one
      const random = shape!.note === 'random-like'
      const error = errorOf(one)
      const [px, py] = [x.of(place), y.of(cut(moved))]
      return h(
        'g',
        { class: `dot ${judged ? (random ? 's-random' : 's-judged') : 's-left'}`, 'data-layer': place - 1 },
        error > 0 && judged
          ? h('path', {
              class: 'error',
              d: `M${at(px)} ${at(Math.min(floor, y.of(cut(moved - error))))}V${at(Math.max(top, y.of(cut(moved + error))))}`,
            })
          : [],
        mark(judged ? 'circle' : 'diamond', px, py, size),
        h(
          'title',
          {},
          `${nameOf(one)}: ${formatChange(moved)}${judged ? (random ? ', random in the baseline' : '') : ', left out: too few eigenvalues'}${layer.alpha_hill == null ? '' : `, alpha_hill ${shown(layer.alpha_hill)}`}`,
        ),
      )
    }),
    mean === null ? [] : h('path', { class: 'mean', d: `M${x0} ${at(y.of(cut(mean)))}H${x1}` }),
  )
  const edge = found.filter(({ moved }) => Math.abs(moved) > STEEP).length
  const caption = `Each dot is a layer: above 0 its tail became lighter, below heavier.${limits.length > 0 ? ' The lines are what the mean of the judged layers is held to.' : ''} Bars are the standard error of a layer.${edge > 0 ? ` ${plural(edge, 'layer')} beyond ±${STEEP} at the edge.` : ''}`
  const keys: Key[] = [
    { kind: 's-judged', shape: 'circle', text: 'judged' },
    ...(found.some(({ shape }) => shape?.note === 'random-like')
      ? [{ kind: 's-random', shape: 'circle', text: 'random in the baseline' } as const]
      : []),
    ...(found.some(({ judged }) => !judged)
      ? [{ kind: 's-left', shape: 'diamond', text: 'not judged: too few eigenvalues' } as const]
      : []),
    { kind: 'noise', shape: 'area', text: noise.text },
    { kind: 'mean', shape: 'line', text: 'mean' },
    ...(limits.some(({ level }) => level === 'warn')
      ? [{ kind: 'threshold v-warned', shape: 'dashed', text: 'warns' } as const]
      : []),
    ...(limits.some(({ level }) => level === 'fail')
      ? [{ kind: 'threshold v-failed', shape: 'dashed', text: 'fails' } as const]
      : []),
  ]
  return figure('What was judged', caption, chart, keys, undefined, 'wide')
}

/** Standard error of the change: that of ln(alpha_hill − 1) is 1/√k on each side, over the same k. */
function errorOf({ layer }: Seen): number {
  const error = (Math.SQRT2 * (layer.sigma_hill ?? 0)) / ((layer.alpha_hill ?? 0) - 1)
  return Number.isFinite(error) && error > 0 ? error : 0
}

/** Labels beside their lines, moved apart where they would overlap. */
function spread<T extends { readonly y: number }>(labels: readonly T[]): (T & { readonly place: number })[] {
  const placed: (T & { readonly place: number })[] = []
  for (const label of [...labels].sort((a, b) => a.y - b.y))
    placed.push({
      ...label,
      place: Math.max(label.y, (placed[placed.length - 1]?.place ?? Number.NEGATIVE_INFINITY) + 15),
    })
  return placed
}

const TINY = frame(300, 170, { left: 52, bottom: 28, top: 10 })

/** The means of a model in the earlier baselines, and now. */
export function history(report: Report, model: Model): Element[] {
  const points = trendPoints(report)
  if (points.length === 0) return []
  const series = SUMMARY_METRICS.map(metric => ({
    metric,
    values: [...points.map(({ models }) => meanOf(models, report, model, metric)), model.summary[metric]],
  }))
  const names = [...points.map(({ commit }) => short(commit, 12)), 'this']
  const plots = series.flatMap(({ metric, values }) => {
    const known = values.flatMap((value, i) => (value === null ? [] : [[i, value] as const]))
    if (known.length < 3) return []
    const x = scale([0, values.length - 1], across(TINY), { room: 0.05 })
    const y = scale(
      known.map(([, value]) => value),
      upward(TINY),
      { room: 0.12, wanted: 3 },
    )
    const chart = svg(
      TINY,
      `${metric} over ${plural(points.length, 'baseline')} and this run, now ${formatReal(values[values.length - 1])}`,
      axes(TINY, { scale: x, label: '', ticks: [] }, { scale: y, label: '' }),
      h('path', {
        class: 'thread s-head',
        d: known.map(([i, value], n) => `${n ? 'L' : 'M'}${at(x.of(i))} ${at(y.of(value))}`).join(''),
      }),
      known.map(([i, value]) =>
        h(
          'g',
          { class: `dot ${i === values.length - 1 ? 's-judged' : 's-base'}` },
          mark('circle', x.of(i), y.of(value), i === values.length - 1 ? 5 : 3.5),
          h('title', {}, `${names[i]}: ${formatReal(value)}`),
        ),
      ),
    )
    return [h('figure', { class: 'tiny' }, h('figcaption', {}, h('h3', {}, metric)), chart)]
  })
  if (plots.length === 0) return []
  const rows = names.map((name, i) => [name, ...series.map(({ values }) => formatReal(values[i]))])
  return [
    h('div', { class: 'grid-tiny' }, plots),
    numbers(['commit', ...SUMMARY_METRICS], rows, 'Means over the layers, the oldest baseline first'),
  ]
}

function meanOf(
  models: ReturnType<typeof trendPoints>[number]['models'],
  report: Report,
  { name }: Model,
  metric: SummaryMetric,
): number | null {
  const alone = models.length === 1 && report.models.length === 1
  return (alone ? models[0] : models.find(model => model.name === name))?.summary[metric] ?? null
}
