import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UserError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { joined } from '../../src/series/points.ts'
import { judgeSeries } from '../../src/series/report.ts'
import { readTable } from '../../src/series/table.ts'
import { read } from './support.ts'

const CSV = 'name,group,accuracy,alpha,batch_size\na,g,0.9,2.5,16\nb,h,0.8,,32\n'

test('CSV: roles by the heading, known metrics, the rest is not looked at, an empty field is no number', async () => {
  const { target, points, ignored } = await read(CSV)
  expect(target).toEqual({ name: 'accuracy', better: 'higher' })
  expect(points.map(({ name, group, target, metrics }) => [name, group, target, metrics.get('alpha')])).toEqual([
    ['a', 'g', 0.9, 2.5],
    ['b', 'h', 0.8, null],
  ])
  expect(ignored).toEqual(['batch_size'])
})

test('the same as YAML, with semicolons, with tabs, with a byte order mark and Windows line ends', async () => {
  const expected = await read(CSV)
  const yaml =
    '- {name: a, group: g, accuracy: 0.9, alpha: 2.5, batch_size: 16}\n- {name: b, group: h, accuracy: 0.8, alpha: null, batch_size: 32}\n'
  expect(await read(yaml, 'models.yml')).toEqual(expected)
  expect(await read(CSV.replaceAll(',', ';'))).toEqual(expected)
  expect(await read(CSV.replaceAll(',', '\t'), 'models.tsv')).toEqual(expected)
  expect(await read(`\ufeff${CSV.replaceAll('\n', '\r\n')}`)).toEqual(expected)
})

test('a row may name a checkpoint, which is measured; a metric stands in one place', async () => {
  const measure = async (path: string, where: string) => ({
    ...{ name: `${where} ${path}`, metrics: new Map([['alpha', 3]]), signs: { below2: null, trap: undefined } },
  })
  const list = 'checkpoint,error,sharpness (larger)\nout/a.pt,12,0.5\n'
  const { points, target } = await readTable(list, 'list.csv', measure)
  expect(target).toEqual({ name: 'error', better: 'lower' })
  expect(points[0]).toMatchObject({ name: 'list.csv: line 2 out/a.pt', target: 12 })
  expect([...points[0].metrics]).toEqual([
    ['sharpness', 0.5],
    ['alpha', 3],
  ])
  await expect(readTable('checkpoint,error,alpha\na.pt,12,2\n', 'l.csv', measure)).rejects.toThrow(
    'l.csv: line 2: "alpha" is in the table, and measured of "a.pt" too',
  )
})

test.each([
  ['', /models\.csv: has no rows/],
  ['name,error,alpha\n', /models\.csv: has no rows/],
  ['name,error,alpha\na,1\n', /line 2: has 2 fields, but the header has 3/],
  ['name,error,alpha\na,1,2\nb,x,3\n', /line 3: error is "x", which is no number/],
  ['name,error,alpha\na,1,0x10\n', /line 2: alpha is "0x10", which is no number/],
  ['name,error,alpha\na,1,Infinity\n', /line 2: alpha is "Infinity", which is no number/],
  ['name,error,alpha\na,1,1e200\n', /line 2: alpha is 1e200, beyond 1e\+100/],
  ['name,error,alpha\na,1,2\nb,,3\n', /line 3: error is empty/],
  ['name,error,alpha\na,,2\nb,,3\n', /error is empty in every row/],
  ['name,error,group,alpha\na,1,g,2\nb,2,,3\n', /line 3: group is empty/],
  ['name,error,step,alpha\na,1,1,2\nb,2,,3\n', /line 3: step is empty/],
  ['name,error,accuracy,alpha\na,1,2,3\n', /"error" and "accuracy" could be what is known/],
  ['name,train_error,test_error,alpha\na,1,2,3\n', /"train_error" and "test_error" could be/],
  ['name,model,error,alpha\na,b,1,2\n', /name and model say the same thing/],
  ['name,error,alpha,alpha\na,1,2,3\n', /two columns "alpha"/],
  ['name,error,beta\na,1,2\n', /no column is a metric/],
  ['name,error,__proto__ (smaller)\na,1,2\n', /"__proto__" is no name of a metric/],
  ['name,error,alpha (larger)\na,1,2\n', /"alpha" is no name of a metric of your own/],
  ['checkpoint,error\n,1\n', /line 2: checkpoint is empty/],
  ['name,error,alpha\n"a,1,2\n', /not valid CSV/],
  [`name,error,alpha\n${'n'.repeat(300)},1,2\n`, /has 300 characters, more than the 256/],
  [`name,error,alpha,${'c'.repeat(300)}\na,1,2,3\n`, /the name of the column .* is too long/],
  [
    `error,alpha,${Array.from({ length: 300 }, (_, i) => `c${i}`)}\n1,2${',3'.repeat(300)}\n`,
    /302 columns, more than 200/,
  ],
])('refuses %j', async (text, message) => {
  await expect(read(text)).rejects.toThrow(message)
})

test.each([
  ['a: 1', /is not a list of models/],
  ['- 3', /row 1: is no mapping/],
  ['- {error: 1, alpha: [2]}', /row 1: "alpha" is neither text nor a number/],
  ['- &a {error: 1, alpha: 2}\n- *a', /not valid YAML/],
  ['- {error: 1', /not valid YAML \(line 1\)/],
  ['- {error: 1, error: 2}', /has two columns "error"/],
])('refuses the YAML %j', async (text, message) => {
  await expect(read(text, 'models.yaml')).rejects.toThrow(message)
})

test('more models, metrics or groups than are looked at are refused', async () => {
  const rows = (n: number, row: (i: number) => string) => Array.from({ length: n }, (_, i) => row(i)).join('\n')
  const many = `error,alpha\n${rows(limits.series.modelsCount + 1, () => '1,2')}`
  await expect(read(many)).rejects.toThrow('2001 models is more than the 2000')
  await expect(read(`group,error,alpha\n${rows(501, i => `${i},1,2`)}`)).rejects.toThrow('more than 500 groups')
  const half = await read(`error,alpha\n${rows(1500, i => `${i},2`)}`)
  expect(() => joined([half, half])).toThrow('3000 models is more than the 2000')
  const wide = Array.from({ length: 50 }, (_, i) => `m${i} (smaller)`)
  const series = await read(`error,${wide}\n1${',2'.repeat(50)}\n`)
  expect(() => judgeSeries(series)).toThrow('50 metrics are more than the 40')
})

test('files that know different things are no series, nor are models of which nothing is known', async () => {
  const [error, accuracy, none] = await Promise.all([
    read('error,alpha\n1,2\n'),
    read('accuracy,alpha\n1,2\n'),
    read('name,alpha\na,2\n'),
  ])
  expect(() => joined([error, accuracy])).toThrow('do not know the same of their models: "error", "accuracy"')
  expect(() => joined([error, none])).toThrow('"error", nothing')
  expect(joined([error, error]).points).toHaveLength(2)
  expect(() => judgeSeries(none)).toThrow('Neither the accuracy of these models is known')
})

test('two moments of one training have two steps; trainings are told apart by their groups', async () => {
  const two = 'group,step,alpha\na,1,3\na,2,2\nb,1,3\nb,2,2\n'
  expect(judgeSeries(await read(two)).trainings.map(({ group }) => group)).toEqual(['a', 'b'])
  const mixed = await read(two.replaceAll(/^[ab],/gm, 'a,'))
  expect(() => judgeSeries(mixed)).toThrow('Two models of one training have the step 2')
})

test('shares beside percentages are pointed out, and models without a number counted', async () => {
  const { notes } = judgeSeries(await read('name,accuracy,alpha\na,0.9,2\nb,91,\nc,92,3\n'))
  expect(notes).toEqual([
    'accuracy goes from 0.9 to 92: are shares and percentages mixed?',
    'alpha: 1 of 3 models have none, the first is b',
  ])
})

test('whatever the text, there is a series or a typed error', async () => {
  const cell = fc.constantFrom(
    'name',
    'error',
    'alpha',
    'step',
    'group',
    '1',
    '-2.5',
    'nan',
    '"',
    ',',
    ';',
    '\n',
    '- ',
    ': ',
    '{',
    '[',
    '\t',
  )
  const text = fc
    .array(fc.oneof(cell, fc.string({ unit: 'binary', maxLength: 4 })), { maxLength: 40 })
    .map(parts => parts.join(''))
  const path = fc.constantFrom('a.csv', 'a.tsv', 'a.yml')
  await fc.assert(
    fc.asyncProperty(text, path, async (text, path) => {
      try {
        judgeSeries(await read(path === 'a.yml' ? text : `name,error,alpha\n${text}`, path))
      } catch (error) {
        expect(error).toBeInstanceOf(UserError)
      }
    }),
    { numRuns: 2000 },
  )
})
