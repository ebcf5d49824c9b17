import { short } from './escape.ts'
import { at, scale } from './scale.ts'

/** A point of a scatter plot. Names are foreign strings. */
export interface PlotPoint {
  readonly x: number
  readonly y: number
  /** Number of its group among `groups`. */
  readonly group: number
  readonly name: string
}

/** A line between two points in the units of the axes; without a group, that over all. */
export interface PlotLine {
  readonly from: readonly [number, number]
  readonly to: readonly [number, number]
  readonly group?: number
}

export interface Plot {
  readonly title: string
  readonly subtitle: string
  readonly x: string
  readonly y: string
  readonly points: readonly PlotPoint[]
  readonly lines: readonly PlotLine[]
  /** Names of the groups; one or none has no legend. */
  readonly groups: readonly string[]
}

/** Okabe and Ito's colours, which tell apart with every kind of sight: on white, then on black. */
const COLOURS = [
  ['#0072b2', '#56b4e9'],
  ['#d55e00', '#ff8a3d'],
  ['#009e73', '#2fd0a2'],
  ['#b8578f', '#e58fbd'],
  ['#8a6d00', '#f0e442'],
  ['#5b5b5b', '#bdbdbd'],
] as const

const WIDTH = 720
const HEIGHT = 460
const LEFT = 78
const RIGHT = 24
const TOP = 64
const BOTTOM = 58
const LEGEND = 170
/** Groups that the legend names. */
const NAMED = 16
/** Characters of a heading, and of a name in the legend. */
const HEADING = 84
const LABEL = 20

/**
 * A scatter plot with trend lines as SVG that needs nothing else: no script, no font, no address. It follows the reader's light or
 * dark, colours and shapes tell groups apart, and each point says its name. Foreign strings are escaped.
 */
export function renderPlot({ title, subtitle, x, y, points, lines, groups }: Plot): string {
  const legend = groups.length > 1
  const right = WIDTH - RIGHT - (legend ? LEGEND : 0)
  const across = scale(
    points.map(point => point.x),
    [LEFT, right],
  )
  const up = scale(
    [...points.map(point => point.y), ...lines.flatMap(({ from, to }) => [from[1], to[1]])],
    [HEIGHT - BOTTOM, TOP],
  )
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${xml(title, 200)}">`,
    `<title>${xml(title, 200)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="page" width="${WIDTH}" height="${HEIGHT}"/>`,
    label(LEFT, 26, title, 'head', HEADING),
    label(LEFT, 46, subtitle, 'sub', HEADING + 12),
    ...across.ticks.map(
      tick =>
        `<path class="grid" d="M${at(across.of(tick))} ${TOP}V${HEIGHT - BOTTOM}"/>` +
        `<text class="tick" x="${at(across.of(tick))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${across.say(tick)}</text>`,
    ),
    ...up.ticks.map(
      tick =>
        `<path class="grid" d="M${LEFT} ${at(up.of(tick))}H${right}"/>` +
        `<text class="tick" x="${LEFT - 8}" y="${at(up.of(tick) + 4)}" text-anchor="end">${up.say(tick)}</text>`,
    ),
    `<path class="axis" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${right}"/>`,
    `<text class="name" x="${at((LEFT + right) / 2)}" y="${HEIGHT - 16}" text-anchor="middle">${xml(x, 60)}</text>`,
    `<text class="name" transform="translate(20 ${at((TOP + HEIGHT - BOTTOM) / 2)}) rotate(-90)" text-anchor="middle">${xml(y, 60)}</text>`,
    ...lines.map(({ from, to, group }) => {
      const [[x1, y1], [x2, y2]] = [from, to].map(([a, b]) => [at(across.of(a)), at(up.of(b))])
      const kind = group === undefined ? 'all' : `trend c${group % COLOURS.length}`
      return `<path class="${kind}" d="M${x1} ${y1}L${x2} ${y2}"/>`
    }),
    ...points.map(
      point =>
        `<g class="c${point.group % COLOURS.length}">${mark(across.of(point.x), up.of(point.y), point.group)}` +
        `<title>${xml(point.name, 96)}: ${across.say(point.x, 3)}, ${up.say(point.y, 3)}</title></g>`,
    ),
    ...(legend ? key(groups, right + 22) : []),
    '</svg>',
  ]
  return `${parts.join('\n')}\n`
}

const STYLE = [
  'text{font-family:system-ui,sans-serif;fill:#24292f}',
  '.page{fill:#fff}.head{font-size:16px;font-weight:600}.sub{font-size:12px;fill:#57606a}.name{font-size:13px}',
  '.tick,.key{font-size:11px}.grid{stroke:#eaeef2}.axis{stroke:#57606a;fill:none}',
  '.all{stroke:#57606a;stroke-width:1.5;stroke-dasharray:6 4;fill:none}.trend{stroke-width:1.5}',
  ...COLOURS.map(([light], i) => `.c${i}{fill:${light};stroke:${light}}`),
  'g{fill-opacity:.75}',
  '@media(prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}.sub{fill:#9198a1}.grid{stroke:#21262d}.axis,.all{stroke:#9198a1}',
  ...COLOURS.map(([, dark], i) => `.c${i}{fill:${dark};stroke:${dark}}`),
  '}',
].join('')

function key(groups: readonly string[], left: number): string[] {
  const shown = groups.slice(0, NAMED).flatMap((group, i) => {
    const y = TOP + 10 + 20 * i
    return [
      `<g class="c${i % COLOURS.length}">${mark(left, y - 4, i)}</g>`,
      `<text class="key" x="${left + 12}" y="${y}">${xml(group, LABEL)}</text>`,
    ]
  })
  const more = groups.length - NAMED
  return more > 0
    ? [...shown, `<text class="key" x="${left}" y="${TOP + 14 + 20 * NAMED}">… and ${more} more</text>`]
    : shown
}

/** A shape that changes when the colours begin anew: circle, square, triangle, diamond. */
function mark(x: number, y: number, group: number): string {
  switch (Math.floor(group / COLOURS.length) % 4) {
    case 0:
      return `<circle cx="${at(x)}" cy="${at(y)}" r="4"/>`
    case 1:
      return `<path d="M${at(x - 4)} ${at(y - 4)}h8v8h-8z"/>`
    case 2:
      return `<path d="M${at(x)} ${at(y - 5)}l5 9h-10z"/>`
    default:
      return `<path d="M${at(x)} ${at(y - 5)}l5 5l-5 5l-5 -5z"/>`
  }
}

function label(x: number, y: number, text: string, kind: string, longest: number): string {
  return `<text class="${kind}" x="${x}" y="${y}">${xml(text, longest)}</text>`
}

/** A foreign string within an element or an attribute. */
function xml(text: string, longest: number): string {
  return short(text, longest).replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
