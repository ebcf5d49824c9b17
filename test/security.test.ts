import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const rows = [...readFileSync('docs/security.md', 'utf8').matchAll(/^\| .*\| `(test\/[\w./-]+)`: (.+?) \|$/gm)]
const lines = readFileSync('docs/security.md', 'utf8')
  .split('\n')
  .filter(line => /^\| (?!sent |who )/.test(line))

test('every line of docs/security.md names a test', () => {
  expect(rows).toHaveLength(lines.length)
  expect(rows.length).toBeGreaterThan(30)
})

test.each(rows.map(([, path, title]) => [path!, title!]))('%s has the test "%s"', (path, title) => {
  expect(readFileSync(path, 'utf8')).toContain(title)
})
