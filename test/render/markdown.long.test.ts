import { expect, test } from 'vitest'
import { renderMarkdown } from '../../src/render/markdown.ts'
import type { Report } from '../../src/report/schema.ts'
import { layer, many, model } from '../support/models.ts'
import { LIMIT, report } from '../support/report.ts'

const render = (report: Report, limit = LIMIT) => renderMarkdown(report, { limit })
const first = (markdown: string) => markdown.split('\n')[0]

test.each([3000, 30_000])('%d layers fit into a comment, and what is left out is counted', n => {
  const markdown = render(
    report(
      [
        model(
          'net',
          many(n, i => 3 + (i % 7)),
        ),
      ],
      [
        model(
          'net',
          many(n, i => 2 + (i % 5)),
        ),
      ],
    ),
  )
  expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(LIMIT)
  expect(first(markdown)).toContain('Failed')
  if (n > 40) expect(markdown).toMatch(/… and \d+ more changed layers: the report has them all\./)
})

test.each([400, 4000])('%d models with long names fit, whole rows only', n => {
  const models = Array.from({ length: n }, (_, i) => model(`${i}-${'n'.repeat(200)}`, [layer('x'.repeat(300), 3)]))
  const markdown = render(report(models, models, ['alpha > 1', 'alpha > 2', 'any(alpha) > 1']))
  expect(Buffer.byteLength(markdown)).toBeLessThanOrEqual(LIMIT)
  for (const line of markdown.split('\n').filter(line => line.startsWith('|'))) expect(line).toMatch(/\|$/)
  expect(first(markdown)).toContain('Failed')
})
