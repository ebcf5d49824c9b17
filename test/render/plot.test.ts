import { expect, test } from 'vitest'
import { type Plot, renderPlot } from '../../src/render/plot.ts'

const plot = (more: Partial<Plot> = {}): Plot => ({
  ...{ title: 'alpha and error', subtitle: 'r = +0.9', x: 'alpha', y: 'error', groups: [], lines: [] },
  points: [
    { x: 2, y: 10, group: 0, name: 'a' },
    { x: 4, y: 20, group: 0, name: 'b' },
  ],
  ...more,
})

/** Elements in the order in which they open, where each closes and nothing else is between < and >. */
function elements(svg: string): string[] {
  const open: string[] = []
  const seen: string[] = []
  for (const [, closing, name, attributes, alone] of svg.matchAll(
    /<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<>]*")*)(\/?)>/g,
  )) {
    if (closing) expect(open.pop()).toBe(name)
    else seen.push(`${name}${attributes.includes('class="c') ? '.c' : ''}`)
    if (!closing && !alone) open.push(name)
  }
  expect(open).toEqual([])
  expect(svg.match(/</g)!.length).toBe(svg.match(/<(\/?)([a-z]+)((?: [a-zA-Z-]+="[^"<>]*")*)(\/?)>/g)!.length)
  return seen
}

test('a plot stands alone: points, ticks at round numbers, light and dark, nothing fetched or run', () => {
  const svg = renderPlot(plot({ lines: [{ from: [2, 10], to: [4, 20] }] }))
  const found = elements(svg)
  expect(found.filter(name => name === 'circle')).toHaveLength(2)
  expect(found).not.toContain('script')
  expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|href|url\(|@import|\son[a-z]+=/)
  expect(svg).toContain('@media(prefers-color-scheme:dark)')
  expect(svg).toContain('<title>a: 2.0000, 10.000</title>')
  const ticks = [...svg.matchAll(/class="tick"[^>]*>([^<]+)</g)].map(([, text]) => text)
  expect(ticks).toEqual(['2.0', '2.5', '3.0', '3.5', '4.0', '10', '12', '14', '16', '18', '20'])
})

test('a trend line that leaves the points stays within the axes', () => {
  const svg = renderPlot(plot({ lines: [{ from: [2, -30], to: [4, 45] }] }))
  const [, , from, , to] = /class="all" d="M([\d.]+) ([\d.-]+)L([\d.]+) ([\d.-]+)"/.exec(svg)!
  const ys = [from, to].map(Number)
  for (const y of ys) expect(y).toBeGreaterThanOrEqual(64)
  for (const y of ys) expect(y).toBeLessThanOrEqual(402)
})

test('groups have colours, then shapes, and a legend that ends', () => {
  const groups = Array.from({ length: 30 }, (_, i) => `depth ${i}`)
  const points = groups.map((name, group) => ({ x: group, y: group, group, name }))
  const svg = renderPlot(plot({ groups, points, lines: [{ from: [0, 0], to: [1, 1], group: 7 }] }))
  elements(svg)
  expect(svg).toContain('… and 14 more')
  expect(svg).toContain('class="trend c1"')
  expect(svg.match(/<circle/g)).toHaveLength(6 + 6 + 6)
  expect(renderPlot(plot({ groups: ['one'] }))).not.toContain('class="key"')
})

test('hostile names stay text', () => {
  const evil = '</title></svg><script>alert(1)</script>"\' onload=x ]]>&amp;\u202e\u0000\ud800'
  const svg = renderPlot(
    plot({
      ...{ title: evil, subtitle: evil, x: evil, y: evil, groups: [evil, 'b'] },
      points: [{ x: 1, y: 1, group: 0, name: evil }],
    }),
  )
  expect(elements(svg)).not.toContain('script')
  expect(['\u202e', '\u0000'].filter(character => svg.includes(character))).toEqual([])
  expect(svg.isWellFormed()).toBe(true)
  expect(svg).toContain('&#38;amp;')
})

test.each([
  [
    [3, 3],
    [5, 5],
  ],
  [
    [0, 0],
    [1e-9, 2e-9],
  ],
  [
    [-1e90, 1e90],
    [0, 1],
  ],
  [
    [1e-90, 2e-90],
    [-5, -5],
  ],
  [
    [1e6, 1e6 + 1],
    [99.99, 100],
  ],
])('x %j and y %j have axes', (x, y) => {
  const points = x.map((value, i) => ({ x: value, y: y[i], group: 0, name: '' }))
  const svg = renderPlot(plot({ points }))
  elements(svg)
  expect(svg).not.toMatch(/NaN|Infinity|undefined/)
  expect(svg.match(/class="tick"/g)!.length).toBeGreaterThanOrEqual(4)
  for (const [, cx, cy] of svg.matchAll(/cx="([^"]+)" cy="([^"]+)"/g)) {
    expect(Number(cx)).toBeGreaterThanOrEqual(78)
    expect(Number(cx)).toBeLessThanOrEqual(696)
    expect(Number(cy)).toBeGreaterThanOrEqual(64)
    expect(Number(cy)).toBeLessThanOrEqual(402)
  }
})
