import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'
import { expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { renderCsv } from '../../src/render/csv.ts'
import { renderMarkdown } from '../../src/render/markdown.ts'
import { renderText } from '../../src/render/text.ts'
import type { Report } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, many, model } from '../support/models.ts'
import { expectLayersFit, expectModelsFit, LIMIT, report } from '../support/report.ts'

const render = (report: Report, limit = LIMIT) => renderMarkdown(report, { limit })
const first = (markdown: string) => markdown.split('\n')[0]
test('the first line is the verdict and what decided it', () => {
  const head = [model('net', [layer('a', 3), layer('b', 4)])]
  const base = [model('net', [layer('a', 2), layer('b', 4)])]
  expect(first(render(report(head, base)))).toBe(
    '### ❌ Failed: `delta(alpha) > 0.2` is true: +0.500; alpha 3.000 → 3.500 (+0.500, worse), most in `a` (+1.000)',
  )
  expect(first(render(report(head, base, ['alpha > 9'])))).toBe(
    '### ✅ Passed: alpha 3.000 → 3.500 (+0.500, worse), most in `a` (+1.000)',
  )
  expect(first(render(report(head, head, ['alpha > 9'])))).toBe('### ✅ Passed: no spectrum changed')
  expect(first(render(report(head, undefined)))).toBe(
    '### 🟡 Inconclusive: first run, nothing to compare with yet; alpha 3.500 over 2 layers',
  )
  expect(first(render(report(head, undefined, ['alpha > 9'])))).toBe('### ✅ Passed: alpha 3.500 over 2 layers')
})

test('shows summary, rules, changed layers and all layers', () => {
  const markdown = render(
    report([model('net', [layer('a', 3), layer('b', 4)])], [model('net', [layer('a', 2), layer('b', 4)])]),
  )
  expect(markdown).toContain('| `alpha` | 3.500 | 3.000 | +0.500, worse |')
  expect(markdown).toContain('| ❌ | fail if `delta(alpha) > 0.2` | +0.500 | > 0.2 | 2 of 2 |')
  expect(markdown).toContain('**1 of 2 layers changed**')
  expect(markdown).toContain('| `a` | 3.000 | 2.000 | +1.000 ████████ | 0 | success |')
  expect(markdown).toContain('<details><summary>All layers</summary>')
  expect(markdown).toContain('| `b` | dense | 64 | 64 | 64 | 4.000 | 0 |')
})

test.each([30, 300])('%d layers fit into a comment, and what is left out is counted', expectLayersFit)
test.each([1, 40])('%d models with long names fit, whole rows only', expectModelsFit)

test('a tiny limit still gives the verdict', () => {
  const markdown = render(
    report(
      [
        model(
          'net',
          many(50, () => 3),
        ),
      ],
      undefined,
      ['alpha > 2'],
    ),
    700,
  )
  expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(700)
  expect(markdown).toContain('### ❌ Failed: `alpha > 2` is true: 3')
})

/** What a reader sees before opening anything. */
const unfolded = (markdown: string) =>
  markdown
    .replace(/<details>[\s\S]*?<\/details>/g, '')
    .split('\n')
    .filter(Boolean)

test('a layer that died stands first, and the headline names it', () => {
  const base = many(200, () => 3)
  const head = many(200, i => (i === 150 ? null : 3 + (i % 3) / 10))
  for (const rules of [[], ['failed > 0']]) {
    const markdown = render(report([model('net', head)], [model('net', base)], rules))
    expect(first(markdown)).toContain('`block.150.attention.self.query`')
    const [row] = markdown.split('\n').filter(line => line.startsWith('| `block.'))
    expect(row).toMatch(/^\| `block\.150\.attention\.self\.query` \| success → failed: /)
    expect(unfolded(markdown).length).toBeLessThanOrEqual(40)
  }
})

test('what violated a rule comes before what moved, and each layer stands once', () => {
  const base = [layer('a', 3), layer('b', 3), layer('c', 3, { sigma: 1 })]
  const head = [layer('a', 4), layer('b', 9, { sigma: 9 }), layer('c', 3.5, { sigma: 1 })]
  const markdown = render(report([model('net', head)], [model('net', base)], ['any(alpha) > 8']))
  const rows = unfolded(markdown).filter(line => /^\| `[abc]` \|/.test(line))
  expect(rows).toEqual([
    '| `b` | violates `any(alpha) > 8` | 9.000 | 3.000 | +6.000 | 0 |',
    '| `a` | moved by 3.5 standard errors, worse | 4.000 | 3.000 | +1.000 | 0 |',
  ])
})

test.each<[number, number, string]>([
  [3, 4, 'worse'],
  [4, 3, 'better'],
  [1.5, 1.8, 'better'],
  [2.5, 1.5, 'over-trained'],
  [1.5, 4, 'worse'],
  [1, 2.5, 'better'],
])('alpha from %d to %d is %j', (from, to, word) => {
  const markdown = render(report([model('net', [layer('a', to)])], [model('net', [layer('a', from)])]))
  const row = markdown.split('\n').find(line => line.startsWith('| `alpha` |'))
  expect(row?.match(/(, [a-z-]+)? \|$/)?.[1] ?? '').toBe(word && `, ${word}`)
})

test('a model that the baseline lacks has no changes, not changes of 0', () => {
  const one = report(
    [model('a', [layer('x', 3)]), model('b', [layer('x', 3)])],
    [model('a', [layer('x', 3)]), model('c', [layer('x', 3)])],
  )
  const text = renderText(one)
  const [ofA, ofB] = text.split('\n').filter(line => line.startsWith('x '))
  expect(ofA).toMatch(/\| +0 \|/)
  expect(ofB).not.toMatch(/\| +0 \|/)
  const csv = renderCsv(one).split('\n')
  expect(csv[0]).toContain('alpha_base,alpha_change')
  expect(csv[1]).toContain('3,0')
  expect(csv[2]).toMatch(/,,,,,,,,,$/)
})

test('a table is as wide as its terminal: columns go, names are shortened, numbers stay', () => {
  const layers = many(20, i => 3.25 + i)
  const one = report(
    [model('net', layers)],
    [
      model(
        'net',
        many(20, () => 3),
      ),
    ],
  )
  for (const width of [60, 80, 100, 120, 200]) {
    const lines = renderText(one, { width }).split('\n')
    const tables = lines.filter(line => line.includes(' | '))
    expect(Math.max(...tables.map(line => line.length))).toBeLessThanOrEqual(width)
    expect(lines.filter(line => / 4\.250 /.test(line)).length).toBeGreaterThan(0)
  }
  expect(renderText(one, { top: 3 }).match(/^block\.\d+.* success/gm)).toHaveLength(3)
  expect(renderText(one, { quiet: true }).split('\n')).toHaveLength(2)
})

test('sentences break between words, and a longer word stays whole', () => {
  const long = 'w'.repeat(70)
  const one = report(
    [
      model(
        long,
        many(2, () => 4),
      ),
    ],
    [
      model(
        long,
        many(2, () => 3),
      ),
    ],
  )
  const text = renderText(one, { width: 60 })
  const sentences = text
    .split('\n')
    .filter(line => !line.includes(' | ') && !line.includes(long) && !line.includes('('))
  expect(Math.max(...sentences.map(line => line.length))).toBeLessThan(60)
  expect(text).toContain(long)
  // Nothing but line breaks is another than without an end of the line.
  const words = (text: string) => text.split('\n\n').at(-1)!.split(/\s+/)
  expect(words(text)).toEqual(words(renderText(one)))
  expect(renderText(one, { quiet: true, width: 30 }).split('\n').length).toBeGreaterThan(2)
})

test('hostile names and reasons open no block, link or mention', () => {
  const evil = '</details>|`\n\n# @octocat #1 <img src=x onerror=y> [a](b) https://evil.example'
  const bad = layer(evil, null, { status: 'error', error: { code: 'worker', message: evil } })
  const head = model(evil, [layer(`${evil}2`, 3), layer(evil, null), bad])
  const base = model(evil, [layer(`${evil}2`, 2), layer(evil, 2, { shape: [9, 9] })])
  const options = { ...defaults, include: [evil] }
  const incomparable = compare([head], defaults, { path: evil, kind: 'report', options, models: [base] })
  const compared = report([head], [base])
  for (const one of [
    compared,
    { ...compared, comparison: incomparable.comparison },
    report([head, model('b', [layer('a', 1)])], undefined),
  ]) {
    const markdown = render(one)
    const tree = fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })
    const kinds = new Set<string>()
    const html: string[] = []
    walk(tree, node => {
      kinds.add(node.type)
      if (node.type === 'html') html.push(node.value!)
      if (node.type === 'text') expect(node.value).not.toMatch(/@octocat|#1|evil|onerror/)
    })
    expect(kinds).not.toContain('link')
    expect(kinds).not.toContain('image')
    for (const block of html)
      expect(block.replace(/&#\d+;/g, '')).toMatch(
        /^(<details><summary>(All layers|What changed|\d+ built-in rules? holds?)( of <code>[A-Za-z0-9 .…-]*<\/code>)?( \(\d+ tensors? skipped\))?<\/summary>|<\/details>|<sub>|<\/sub>)$/,
      )
  }
})

interface Node {
  type: string
  value?: string
  children?: Node[]
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node)
  for (const child of node.children ?? []) walk(child, visit)
}
