import { expect, test } from 'vitest'
import { renderCsv } from '../../src/render/csv.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

test('one row a layer with full doubles; absent numbers are empty; formulas are escaped, numbers are not', () => {
  const layers = [layer('a', 1 / 3, { log_norm: -0.5, part: 'q' }), layer('=cmd()', null)]
  const csv = renderCsv({
    schemaVersion: 1,
    tool: { name: 'spectral-gate', version: '0' },
    options: defaults,
    models: [model('net', layers)],
  })
  const [header, first, second] = csv.split('\n').map(line => line.split(','))
  const row = (cells: string[]) => Object.fromEntries(header.map((name, i) => [name, cells[i]]))
  expect(row(first)).toMatchObject({
    model: 'net',
    name: 'a',
    part: 'q',
    shape: '64x64',
    alpha: '0.3333333333333333',
    log_norm: '-0.5',
    status: 'success',
  })
  expect(row(second)).toMatchObject({ name: "'=cmd()", alpha: '', D: '', status: 'failed' })
})
