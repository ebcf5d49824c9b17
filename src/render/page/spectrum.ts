import { at, type Scale, scale } from '../scale.ts'
import { across, axes, frame, type Key, legend, numbers, svg, upward } from './chart.ts'
import { type Element, h } from './element.ts'

/** A Marchenko-Pastur law that describes so many eigenvalues. */
export interface Bulk {
  readonly min: number
  readonly max: number
  readonly count: number
}

/** What is drawn of a layer's spectrum: its histogram over equal bins of log10 λ, and where its tail lies. */
export interface Spectrum {
  readonly low: number
  /** Of a bin. */
  readonly width: number
  readonly counts: readonly number[]
  readonly tail?: { readonly alpha: number; readonly xmin: number; readonly xmax: number; readonly count: number }
  readonly bulk?: Bulk
  readonly shuffled?: Bulk & { readonly largest: number }
}

const FRAME = frame(680, 350, { left: 62, right: 74, top: 42, bottom: 46 })

/** Share of the eigenvalues that is left out below, where the smallest lie decades apart from all others. */
const LEFT_OUT = 0.05

/** Points of a curve. */
const STEPS = 160

/**
 * The ESD as a histogram over log10 λ, eigenvalues per decade on a logarithmic axis, so that histograms with other bins can be
 * compared; in it a power law is a straight line of slope 1 − alpha.
 */
export function drawSpectrum(name: string, head: Spectrum, base: Spectrum | undefined): Element[] {
  const both = base ? [head, base] : [head]
  if (both.every(({ counts }) => !counts.some(count => count > 0)))
    return [h('p', {}, 'None of its eigenvalues is above 0: there is nothing to draw.')]
  const from = start(both)
  const densities = both.flatMap(({ counts, width }) =>
    counts.filter(count => count > 0).map(count => Math.log10(count / width)),
  )
  const edges = both.flatMap(({ low, width, counts }) => (counts.length > 0 ? [low, low + width * counts.length] : []))
  const marks = both.flatMap(({ tail }) => (tail ? [Math.log10(tail.xmin), Math.log10(tail.xmax)] : []))
  const shuffled = head.shuffled ? [Math.log10(head.shuffled.largest)] : []
  const x = scale(
    [...edges.map(edge => Math.max(edge, from)), ...marks, ...shuffled].filter(Number.isFinite),
    across(FRAME),
    { room: 0.03 },
  )
  const lowest = Math.min(...densities) - 0.25
  const starts = both.flatMap(({ tail }) =>
    tail
      ? powerLaw(tail)
          .slice(0, 1)
          .map(([, start]) => start)
      : [],
  )
  const y = scale([lowest, ...densities, ...starts], upward(FRAME), { room: 0.04, wanted: 4 })
  const floor = FRAME.height - FRAME.bottom
  const place = (a: number, b: number) => `${at(x.of(a))} ${at(Math.min(floor, y.of(b)))}`

  /** The outline of the bars, from the floor to the floor. */
  const outline = ({ low, width, counts }: Spectrum) => {
    const first = Math.max(0, Math.round((from - low) / width))
    const bars = counts.slice(first).map((count, i) => {
      const top = count > 0 ? at(Math.min(floor, y.of(Math.log10(count / width)))) : floor
      return `V${top}H${at(x.of(low + width * (first + i + 1)))}`
    })
    return bars.length === 0 ? '' : `M${at(x.of(low + width * first))} ${floor}${bars.join('')}V${floor}`
  }
  const line = (points: readonly (readonly [number, number])[]) =>
    points.length > 1 ? `M${points.map(([a, b]) => place(a, b)).join('L')}` : ''
  const upright = (value: number, kind: string, text: string, side: 'start' | 'end', row: number) => {
    const place = x.of(Math.log10(value))
    return [
      h('path', { class: `limit ${kind}`, d: `M${at(place)} ${FRAME.top - 2}V${floor}` }),
      h(
        'text',
        {
          class: `tick ${kind}`,
          x: at(place + (side === 'end' ? -3 : 3)),
          y: FRAME.top - 20 + 14 * row,
          'text-anchor': side,
        },
        text,
      ),
    ]
  }
  const tail = (spectrum: Spectrum, kind: string) =>
    spectrum.tail ? [h('path', { class: `fit ${kind}`, d: line(powerLaw(spectrum.tail)) })] : []
  const law = (bulk: Bulk | undefined, kind: string) =>
    bulk ? [h('path', { class: kind, d: line(marchenkoPastur(bulk, lowest).filter(([place]) => place >= x.low)) })] : []
  const keys: Key[] = [
    { kind: 'head-area', shape: 'area', text: 'head' },
    ...(base ? ([{ kind: 'base-line', shape: 'line', text: 'base' }] as const) : []),
    ...(head.tail
      ? ([{ kind: 'fit head', shape: 'line', text: `power law, alpha ${head.tail.alpha.toFixed(2)}` }] as const)
      : []),
    ...(base?.tail
      ? ([{ kind: 'fit base', shape: 'line', text: `of the base, alpha ${base.tail.alpha.toFixed(2)}` }] as const)
      : []),
    ...(head.bulk ? ([{ kind: 'law', shape: 'line', text: 'Marchenko-Pastur, fitted to the bulk' }] as const) : []),
    ...(head.shuffled
      ? ([{ kind: 'shuffled', shape: 'line', text: 'Marchenko-Pastur, of the shuffled weights' }] as const)
      : []),
  ]
  const said = `ESD of ${name}: eigenvalues per decade over log10 of the eigenvalue${head.tail ? `, tail from ${head.tail.xmin.toPrecision(3)} to ${head.tail.xmax.toPrecision(3)}` : ''}`
  return [
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': `Spectrum of ${name}` },
      svg(
        FRAME,
        said,
        axes(
          FRAME,
          { scale: x, label: 'eigenvalue λ', ticks: powersOfTen(x) },
          { scale: y, label: 'eigenvalues per decade', ticks: powersOfTen(y) },
        ),
        h('path', { class: 'head-area', d: outline(head) }),
        base ? h('path', { class: 'base-line', d: outline(base) }) : [],
        law(head.bulk, 'law'),
        law(head.shuffled, 'shuffled'),
        base ? tail(base, 'base') : [],
        tail(head, 'head'),
        base?.tail ? upright(base.tail.xmin, 'base', 'base xmin', 'end', 1) : [],
        head.tail
          ? [
              ...upright(head.tail.xmin, 'head', 'xmin', 'end', 0),
              ...upright(head.tail.xmax, 'head', 'xmax', 'start', 0),
            ]
          : [],
        head.shuffled ? upright(head.shuffled.largest, 'shuffled', 'shuffled λmax', 'start', 1) : [],
      ),
    ),
    legend(keys),
    ...leftOut(both, from),
    numbers(
      ['eigenvalues from', 'to', 'count', ...(base ? ['base'] : [])],
      bins(head, base),
      'Bins of the histogram, log10 of the eigenvalue',
    ),
  ]
}

/** Where the picture begins: below it lies hardly an eigenvalue of either side. */
function start(both: readonly Spectrum[]): number {
  const starts = both.flatMap(({ low, width, counts }) => {
    const total = counts.reduce((sum, count) => sum + count, 0)
    let [below, first] = [0, 0]
    while (first < counts.length && below + counts[first] <= LEFT_OUT * total) below += counts[first++]
    return total > 0 ? [low + first * width] : []
  })
  return Math.min(...starts)
}

function leftOut(both: readonly Spectrum[], from: number): Element[] {
  const [head, base] = both.map(({ low, width, counts }) =>
    counts.slice(0, Math.max(0, Math.round((from - low) / width))).reduce((sum, count) => sum + count, 0),
  )
  const said = base === undefined ? `${head}` : `${head} of the head’s and ${base} of the base’s`
  return head + (base ?? 0) > 0 ? [h('p', { class: 'meta' }, `Too small to be drawn: ${said} eigenvalues.`)] : []
}

/** Ticks at 1, 2 and 5 times a power of ten, or at powers alone where there are many. */
function powersOfTen({ low, high }: Scale): (readonly [number, string])[] {
  const decades = high - low
  const factors = decades > 4 ? [1] : decades > 1.6 ? [1, 3] : [1, 2, 5]
  const every = Math.max(1, Math.ceil(decades / 8))
  const first = Math.floor(low)
  const powers = Array.from({ length: Math.min(100, Math.ceil(high) - first + 1) }, (_, i) => first + i)
  return powers
    .filter(power => power % every === 0)
    .flatMap(power => factors.map(factor => [power + Math.log10(factor), `${factor}e${power}`] as const))
    .filter(([tick]) => tick >= low && tick <= high)
    .map(([tick, digits]) => {
      const value = Number(digits)
      return [tick, value >= 1e5 || value < 0.001 ? digits.replace('-', '−') : String(value)] as const
    })
}

/** Eigenvalues per decade that the fit expects: n·(alpha − 1)·ln 10·(λ/xmin)^(1 − alpha). */
function powerLaw({ alpha, xmin, xmax, count }: NonNullable<Spectrum['tail']>): [number, number][] {
  const [from, to] = [Math.log10(xmin), Math.log10(xmax)]
  const start = Math.log10(count * (alpha - 1) * Math.LN10)
  const all: [number, number][] = [
    [from, start],
    [to, start - (alpha - 1) * (to - from)],
  ]
  return all.every(point => point.every(Number.isFinite)) ? all : []
}

/**
 * Eigenvalues per decade of a Marchenko-Pastur bulk, whose density is √((λ₊ − λ)(λ − λ₋))/λ but for its factor (Marchenko & Pastur
 * 1967).
 */
function marchenkoPastur({ min, max, count }: Bulk, lowest: number): [number, number][] {
  const least = Math.max(min, max * 1e-6)
  if (!(max > least && min >= 0)) return []
  const [from, to] = [Math.log10(least), Math.log10(max)]
  const step = (to - from) / STEPS
  const middles = Array.from({ length: STEPS }, (_, i) => from + (i + 0.5) * step)
  const weights = middles.map(middle => {
    const value = Math.exp(middle * Math.LN10)
    return Math.sqrt(Math.max(0, (max - value) * (value - min)))
  })
  const sum = weights.reduce((total, weight) => total + weight, 0) * step
  return middles.flatMap((middle, i): [number, number][] => {
    const density = Math.log10((count * weights[i]) / sum)
    return density >= lowest ? [[middle, density]] : []
  })
}

function bins(head: Spectrum, base: Spectrum | undefined): string[][] {
  const rows = (spectrum: Spectrum, other: (count: string) => string[]) =>
    spectrum.counts.map((count, i) => [
      (spectrum.low + i * spectrum.width).toFixed(3),
      (spectrum.low + (i + 1) * spectrum.width).toFixed(3),
      ...other(String(count)),
    ])
  if (!base) return rows(head, count => [count])
  return [...rows(head, count => [count, '']), ...rows(base, count => ['', count])].sort(
    (a, b) => Number(a[0]) - Number(b[0]),
  )
}
