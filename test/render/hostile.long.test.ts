import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'
import { expect, test } from 'vitest'
import { renderCsv } from '../../src/render/csv.ts'
import { renderMarkdown } from '../../src/render/markdown.ts'
import { renderText } from '../../src/render/text.ts'
import { lenientReport, type Report } from '../../src/report/schema.ts'
import { kindOf, placesOf, replaced } from '../support/places.ts'
import { REPORTS } from '../support/reports.ts'

const EVIL = [
  '</details><img src=x onerror=y> @octocat #1 [a](https://evil.example) https://evil.example www.evil.example',
  '`|` **b** ~~s~~ <!-- x --> &lt;b&gt; ![i](https://evil.example/i.png) \\',
  '\n\n::error::x\n##[group]x\r\x1b[31m\u202e\u009b31m',
  '=cmd|x',
]
interface Node {
  readonly type: string
  readonly value?: string
  readonly url?: string
  readonly children?: readonly Node[]
}

/** Our own links lead to runs. */
const OURS = /^https:\/\/github\.com\/acme\/net\/actions\/runs\/\d+$/

function check(node: Node): void {
  if (node.type === 'link') expect(node.url).toMatch(OURS)
  expect(['image', 'footnoteReference', 'delete']).not.toContain(node.type)
  if (node.type === 'html') expect(node.value!.replace(/&#\d+;/g, '')).toMatch(/^<\/?(details|summary|sub|code)[^@]*>$/)
  if (node.type === 'text') expect(node.value).not.toMatch(/@octocat|#1|evil|onerror/)
  for (const child of node.children ?? []) check(child)
}

/** One place for each kind of string: layers are alike. */
const places = ['full', 'nan', 'accepted', 'incomparable', 'models', 'part'].flatMap(name => {
  const report = JSON.parse(JSON.stringify(REPORTS[name])) as Report
  const seen = new Map(placesOf('string', report).map(path => [kindOf(path), path]))
  return [...seen.values()].map(path => ({ name, report, path }))
})

test('no string that a report may hold becomes a link, a mention, HTML, a command or a movement of the cursor', () => {
  let tried = 0
  const accepted = new Set<string>()
  for (const { name, report, path } of places) {
    for (const evil of EVIL) {
      const read = lenientReport.safeParse(replaced(report, [path], evil))
      if (!read.success) continue
      tried++
      accepted.add(kindOf(path))
      const hostile = read.data as Report
      const where = `${name} ${kindOf(path)}`
      const markdown = renderMarkdown(hostile, { limit: 60_000 })
      const tree = fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })
      try {
        check(tree as Node)
        for (const text of [renderText(hostile), renderText(hostile, { quiet: true }), renderCsv(hostile)]) {
          // biome-ignore lint/suspicious/noControlCharactersInRegex: what must not be there
          expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/)
          expect(text).not.toMatch(/^\s*::|##\[/m)
        }
        expect(renderCsv(hostile)).not.toMatch(/(^|,)=cmd/m)
      } catch (error) {
        throw new Error(`${where}: ${JSON.stringify(evil)}`, { cause: error })
      }
    }
  }
  expect(tried).toBeGreaterThan(100)
  for (const kind of ['tool.version', 'models.[].layers.[].name', 'verdict.rules.[].reason', 'baseline.reason'])
    expect([...accepted]).toContain(kind)
}, 300_000)
