import { at, type Scale } from '../scale.ts'
import { type Element, h, type Piece } from './element.ts'

/** Where a chart's axes lie, in the units of its viewBox. */
export interface Frame {
  readonly width: number
  readonly height: number
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

export const frame = (width: number, height: number, more: Partial<Frame> = {}): Frame => ({
  ...{ width, height, left: 48, right: 14, top: 12, bottom: 42 },
  ...more,
})

/** From the least to the greatest, in pixels. */
export const across = ({ width, left, right }: Frame): [number, number] => [left, width - right]
export const upward = ({ height, top, bottom }: Frame): [number, number] => [height - bottom, top]

/** @param label what a screen reader says in place of the picture */
export function svg(
  { width, height }: Frame,
  label: string,
  ...children: readonly (Piece | readonly Piece[])[]
): Element {
  return h('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, ...children)
}

export interface Axis {
  readonly scale: Scale
  readonly label: string
  /** In place of the scale's own ticks. */
  readonly ticks?: readonly (readonly [value: number, text: string])[]
  /** Names of layers stand aslant. */
  readonly aslant?: boolean
}

/** Grid, ticks and names of both axes. */
export function axes(frame: Frame, x: Axis, y: Axis): Element[] {
  const { width, height, left, right, top, bottom } = frame
  const [floor, end] = [height - bottom, width - right]
  const of = ({ scale, ticks }: Axis) => ticks ?? scale.ticks.map(tick => [tick, scale.say(tick)] as const)
  return [
    ...of(y).map(([tick, text]) =>
      h(
        'g',
        {},
        h('path', { class: 'grid', d: `M${left} ${at(y.scale.of(tick))}H${end}` }),
        h('text', { class: 'tick', x: left - 7, y: at(y.scale.of(tick) + 4), 'text-anchor': 'end' }, text),
      ),
    ),
    ...of(x).map(([tick, text]) => {
      const place = at(x.scale.of(tick))
      const turned = x.aslant ? `translate(${place} ${floor + 12}) rotate(-42)` : undefined
      return h(
        'g',
        {},
        h('path', {
          class: x.aslant ? 'notch' : 'grid',
          d: x.aslant ? `M${place} ${floor}v4` : `M${place} ${top}V${floor}`,
        }),
        turned
          ? h('text', { class: 'tick', transform: turned, 'text-anchor': 'end' }, text)
          : h('text', { class: 'tick', x: place, y: floor + 17, 'text-anchor': 'middle' }, text),
      )
    }),
    h('path', { class: 'axis', d: `M${left} ${top}V${floor}H${end}` }),
    h('text', { class: 'name', x: at((left + end) / 2), y: height - 6, 'text-anchor': 'middle' }, x.label),
    h(
      'text',
      { class: 'name', transform: `translate(13 ${at((top + floor) / 2)}) rotate(-90)`, 'text-anchor': 'middle' },
      y.label,
    ),
  ]
}

/** A mark's form says what its colour says: circle, square, triangle, diamond, cross. */
export type Shape = 'circle' | 'square' | 'triangle' | 'diamond' | 'cross'

export function mark(shape: Shape, x: number, y: number, size = 4): Element {
  const [a, b] = [at(x), at(y)]
  const paths = {
    square: `M${at(x - size)} ${at(y - size)}h${2 * size}v${2 * size}h${-2 * size}z`,
    triangle: `M${a} ${at(y - size - 1)}l${size + 1} ${2 * size}h${-2 * size - 2}z`,
    diamond: `M${a} ${at(y - size - 1.5)}l${size + 1.5} ${size + 1.5}l${-size - 1.5} ${size + 1.5}l${-size - 1.5} ${-size - 1.5}z`,
    cross: `M${at(x - size)} ${at(y - size)}l${2 * size} ${2 * size}m0 ${-2 * size}l${-2 * size} ${2 * size}`,
  }
  return shape === 'circle' ? h('circle', { cx: a, cy: b, r: size }) : h('path', { d: paths[shape] })
}

/** What a kind of marks means. `kind` is its class. */
export interface Key {
  readonly kind: string
  readonly shape: Shape | 'line' | 'dashed' | 'area'
  readonly text: string
}

export function legend(keys: readonly Key[]): Element {
  return h(
    'ul',
    { class: 'legend' },
    keys.map(({ kind, shape, text }) => {
      const drawn =
        shape === 'area'
          ? h('path', { d: 'M1 3h14v10h-14z' })
          : shape === 'line' || shape === 'dashed'
            ? h('path', { d: 'M0 8h16' })
            : mark(shape, 8, 8)
      return h(
        'li',
        {},
        h(
          'svg',
          { viewBox: '0 0 16 16', 'aria-hidden': 'true', width: 16, height: 16 },
          h('g', { class: kind }, drawn),
        ),
        text,
      )
    }),
  )
}

/** A plot with its heading, what it says, its legend, and the numbers behind it. */
export function figure(
  title: string,
  caption: string,
  chart: Element,
  keys: readonly Key[] = [],
  behind?: Element,
  kind = '',
): Element {
  return h(
    'figure',
    { class: kind || undefined },
    h('figcaption', {}, h('h3', {}, title), caption && h('p', {}, caption)),
    // What scrolls has to be reached by the keyboard.
    kind === 'wide' ? h('div', { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': title }, chart) : chart,
    keys.length > 0 && legend(keys),
    behind,
  )
}

/** The numbers behind a plot, folded. */
export function numbers(columns: readonly string[], rows: readonly (readonly string[])[], caption: string): Element {
  return h(
    'details',
    { class: 'behind' },
    h('summary', {}, 'Numbers'),
    h(
      'div',
      { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': caption },
      h(
        'table',
        {},
        h('caption', {}, caption),
        h(
          'thead',
          {},
          h(
            'tr',
            {},
            columns.map(label => h('th', { scope: 'col' }, label)),
          ),
        ),
        h(
          'tbody',
          {},
          rows.map(([first, ...rest]) =>
            h(
              'tr',
              {},
              h('th', { scope: 'row' }, first),
              rest.map(cell => h('td', { class: 'n' }, cell)),
            ),
          ),
        ),
      ),
    ),
  )
}
