import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SeriesReport, seriesReport } from '../../src/series/schema.ts'
import { cli, root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'
import { generate, goldenTensor } from '../support/golden.ts'
import { writeSafetensors } from '../support/safetensors.ts'
import { annotations, runGate, startRepository } from './gate.ts'
import { type GitHubDouble, sha } from './github/double.ts'

const SHARED = join(root, '../shared')
const VGG = join(root, 'test/fixtures/series/vgg.csv')

/** Networks of one layer each, beside each other. */
function networks(n: number): string {
  const folder = temporaryFolder()
  for (let i = 0; i < n; i++) {
    writeSafetensors({ 'a.weight': generate(100 + i, [60, 40 + i], false) }, `net${i}.safetensors`, folder)
  }
  return folder
}

const readSeries = (path: string): SeriesReport => seriesReport.parse(JSON.parse(readFileSync(path, 'utf8')))

test('series: a table in, verdict, JSON, Markdown, the table again and plots out', async () => {
  const out = temporaryFolder()
  const [json, md, csv] = ['s.json', 's.md', 's.csv'].map(name => join(out, name))
  const run = await cli('series', VGG, '--json', json, '--markdown', md, '--csv', csv, '--plots', join(out, 'plots'))
  expect(run).toMatchObject({ status: 0, stderr: '' })
  expect(run.stdout).toMatch(/\nGate on alpha_weighted here: .*\n$/)
  expect(readSeries(json).verdict).toMatchObject({ metric: 'alpha_weighted', contradicted: ['alpha'] })
  expect(readFileSync(md, 'utf8')).toMatch(/^### Gate on `alpha_weighted` here: it tracks `top1_error` over 8 models/)
  expect(readdirSync(join(out, 'plots')).sort()).toEqual(
    ['alpha', 'alpha_weighted', 'log_alpha_norm', 'log_norm', 'log_spectral_norm'].map(name => `${name}.svg`),
  )
  const again = await cli('series', csv, '--json', '-')
  expect(again.stdout).toBe(readFileSync(json, 'utf8'))
  expect((await cli('series', VGG, '--quiet')).stdout).toMatch(/^Gate on alpha_weighted here: [^\n]*\n$/)
})

test('metrics whose names differ by what a path can’t have get a plot each', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'own.csv'), 'error,a/b (smaller),a-b (smaller),A-B (larger)\n1,2,3,4\n2,3,1,5\n3,1,2,6\n')
  await cli('series', join(folder, 'own.csv'), '--plots', join(folder, 'plots'))
  expect(readdirSync(join(folder, 'plots')).sort()).toEqual(['A-B--.svg', 'a-b-.svg', 'a-b.svg'])
})

test('a list of checkpoints and reports beside it; the same series from the reports alone', async () => {
  const folder = networks(9)
  const rows = Array.from({ length: 9 }, (_, i) => `net${i}.${i % 2 ? 'json' : 'safetensors'},${0.9 - i / 50}`)
  writeFileSync(join(folder, 'list.csv'), `checkpoint,accuracy\n${rows.join('\n')}\n`)
  const reports: string[] = []
  for (let i = 0; i < 9; i++) {
    const json = join(folder, `net${i}.json`)
    const made = await cli(join(folder, `net${i}.safetensors`), '--json', json, '--accuracy', String(0.9 - i / 50))
    expect(made.status).toBe(0)
    reports.push(json)
  }
  const listed = await cli('series', join(folder, 'list.csv'), '--json', '-')
  expect(listed).toMatchObject({ status: 0, stderr: '' })
  const series = seriesReport.parse(JSON.parse(listed.stdout))
  expect(series).toMatchObject({ kind: 'models', n: 9, target: { name: 'accuracy', better: 'higher' } })
  expect(series.points.map(({ name }) => name)).toEqual(Array.from({ length: 9 }, (_, i) => `net${i}`))
  expect((await cli('series', ...reports, '--json', '-')).stdout).toBe(listed.stdout)
})

test('checkpoints of one training, in the order given: where alpha is least, and the first layer below 2', async () => {
  const folder = networks(3)
  writeSafetensors({ 'late.weight': goldenTensor('G1') }, 'last.safetensors', folder)
  const paths = ['net0', 'net1', 'net2', 'last'].map(name => join(folder, `${name}.safetensors`))
  const { stdout, status } = await cli('series', ...paths)
  expect(status).toBe(0)
  expect(stdout).toContain(
    'Mean alpha is least at step 4 (last: 1.883). The first layer with alpha below 2 is at step 4: late.',
  )
  expect(stdout).toMatch(/4 moments of one training: described, and no claim that a metric tracks\n$/)
})

test.each<[string, string, RegExp]>([
  [
    'a checkpoint that is not there',
    'checkpoint,accuracy\nnet0.safetensors,1\nnowhere.pt,2\n',
    /list\.csv: line 3: nowhere\.pt: no such file/,
  ],
  ['a damaged one', 'checkpoint,accuracy\nbroken.safetensors,1\n', /list\.csv: line 2: .*broken\.safetensors: /],
  [
    'one without means',
    'checkpoint,accuracy\nnan.safetensors,1\n',
    /line 2: .*nan\.safetensors: has no means, for 1 of its layers could not be read/,
  ],
  ['a report of two models', 'checkpoint,accuracy\ntwo.json,1\n', /line 2: .*two\.json: is a report of 2 models/],
  [
    'reports of other options',
    'checkpoint,accuracy\nnet0.safetensors,1\nother.json,2\n',
    /line 3: .*other\.json: was analysed with another min_evals/,
  ],
])('%s is an error that names the row, and nothing is written', async (_, list, message) => {
  const folder = networks(2)
  const net = (i: number) => join(folder, `net${i}.safetensors`)
  writeFileSync(join(folder, 'broken.safetensors'), readFileSync(net(0)).subarray(0, 900))
  const nan = { shape: [20, 20], values: Float32Array.from({ length: 400 }, () => Number.NaN) }
  writeSafetensors({ 'a.weight': nan }, 'nan.safetensors', folder)
  await cli(net(0), net(1), '--json', join(folder, 'two.json'))
  await cli(net(0), '--min-evals', '5', '--json', join(folder, 'other.json'))
  writeFileSync(join(folder, 'list.csv'), list)
  const out = join(folder, 'out.json')
  const run = await cli('series', join(folder, 'list.csv'), '--json', out)
  expect(run).toMatchObject({ status: 2, stdout: '' })
  expect(run.stderr).toMatch(message)
  expect(existsSync(out)).toBe(false)
})

test.each([
  [['series'], /No file was named/],
  [['series', VGG, '--fail-if', 'alpha > 3'], /--fail-if does not go with a series/],
  [['series', VGG, '--baseline', VGG], /--baseline does not go with a series/],
  [['series', VGG, '--plots', 'a', '--plots', 'b'], /--plots takes one folder/],
  [['series', 'nothing.csv'], /nothing\.csv: no such file/],
  [['series', VGG, '--json', VGG], /is read: the output would take its place/],
  [['model.pt', '--plots', 'x'], /--plots goes with a series/],
  [['model.pt', '--accuracy', 'high'], /accuracy is "high", but takes a number/],
])('%j is wrong usage', async (args, message) => {
  const { status, stderr } = await cli(...args)
  expect(status).toBe(2)
  expect(stderr).toMatch(message)
})

test('a larger table than is read is refused before it is parsed', async () => {
  const path = join(temporaryFolder(), 'large.csv')
  writeFileSync(path, `name,error,alpha\n${'a,1,2\n'.repeat(800_000)}`)
  const { status, stderr } = await cli('series', path)
  expect(status).toBe(2)
  expect(stderr).toMatch(/has 4800017 bytes, more than 4194304/)
})

/** The reference data lies beside the clone, or does not. */
test.runIf(existsSync(join(SHARED, 'reference/series.json')))(
  'the real series have the reference’s correlations, and claim nothing',
  async () => {
    const checkpoints = readdirSync(join(SHARED, 'checkpoints'), { recursive: true, encoding: 'utf8' })
    const fileOf = (name: string) => {
      const [, epoch] = /^xception-(e\d+)$/.exec(name) ?? []
      return checkpoints.find(file => file.startsWith(epoch ? `xception/${epoch}-` : `${name}.`))!
    }
    const reference = JSON.parse(readFileSync(join(SHARED, 'reference/series.json'), 'utf8'))
    for (const [i, { points, correlation_with_accuracy }] of reference.entries()) {
      const training = i === 2
      const path = join(temporaryFolder(), 'list.csv')
      const rows = points.map(({ checkpoint, accuracy }: { checkpoint: string; accuracy: number }) =>
        [
          checkpoint,
          join(SHARED, 'checkpoints', fileOf(checkpoint)),
          accuracy,
          ...(training ? [checkpoint.slice(-3)] : []),
        ].join(),
      )
      writeFileSync(path, `name,checkpoint,accuracy${training ? ',step' : ''}\n${rows.join('\n')}\n`)
      const { stdout, stderr } = await cli('series', path, '--json', '-')
      expect(stderr).toBe('')
      const series = seriesReport.parse(JSON.parse(stdout))
      expect(series.verdict).toMatchObject({ status: training ? 'training' : 'too-few', metric: null })
      for (const [metric, expected] of Object.entries(correlation_with_accuracy)) {
        const found = series.metrics.find(({ name }) => name === metric)!
        expect(found.state).toBe(training ? 'one-run' : 'too-few')
        for (const [kind, r] of Object.entries(expected as Record<'pearson' | 'spearman' | 'kendall', number>))
          expect(found[kind as 'pearson']).toBeCloseTo(r, 6)
      }
    }
  },
)

let github: GitHubDouble
let commits: readonly string[]
beforeEach(async () => {
  ;({ github, commits } = await startRepository())
})
afterEach(async () => {
  expect(github.problems).toEqual([])
  await github.stop()
})

const push = (inputs: Record<string, string>, sha = commits[3], files = {}) =>
  runGate(github, 'good', inputs, { event: 'push', sha: sha! }, {}, { files })

test('mode: series has no gate: the summary’s table, plots, and the metric as an output', async () => {
  const files = { 'models.csv': readFileSync(VGG) }
  const { status, outputs, job, stdout } = await push(
    { checkpoint: '', mode: 'series', series: 'models.csv' },
    commits[3],
    files,
  )
  expect(status).toBe(0)
  expect(outputs).toMatchObject({ 'series-metric': 'alpha_weighted', 'series-verdict': 'recommended' })
  expect(outputs.verdict).toBeUndefined()
  expect(readSeries(outputs['series-json']!).n).toBe(8)
  expect(readdirSync(outputs['series-plots']!)).toContain('alpha_weighted.svg')
  expect(job.summary()).toMatch(/^### Gate on `alpha_weighted` here[\s\S]*^\| `alpha` +\|/m)
  expect(stdout).toContain('alpha is rejected')
  expect(github.artifacts).toEqual([])
})

test('beside the gate: its verdict stands, whatever the series shows; plots where they are wanted', async () => {
  const files = { 'models.csv': readFileSync(VGG) }
  const inputs = { series: '*.csv', plots: 'out/plots', 'fail-if': 'alpha > 1' }
  const { status, outputs, job } = await push(inputs, commits[3], files)
  expect(status).toBe(1)
  expect(outputs).toMatchObject({ verdict: 'failed', 'series-metric': 'alpha_weighted', 'series-plots': 'out/plots' })
  expect(existsSync(join(job.workspace, 'out/plots/alpha.svg'))).toBe(true)
  expect(job.summary()).toMatch(/^### ❌ Failed[\s\S]*^### Gate on `alpha_weighted` here/m)
})

test('one that can’t be read is told in place of the verdict, not after it', async () => {
  const files = { 'models.csv': 'checkpoint,accuracy\nnet.safetensors,0.9\nold/gone.safetensors,0.8\n' }
  const inputs = { series: 'models.csv', baseline: 'none', 'fail-if': 'alpha > 2.5' }
  const ended = await runGate(github, 'good', inputs, { event: 'pull_request', pull: 7 }, {}, { files })
  expect({ status: ended.status, verdict: ended.outputs.verdict }).toEqual({ status: 2, verdict: undefined })
  const [body, ...others] = github.comments(7).map(({ body }) => body)
  expect(others).toEqual([])
  expect(body).toMatch(/^### ❌ Failed: no verdict[\s\S]*line 3[\s\S]*no such file/)
})

test('on a fork, which may lack what it takes, one that can’t be read is a warning', async () => {
  github.commits.set(sha('head of the fork'), [commits[3]!])
  github.addPull({ number: 7, head: { sha: sha('head of the fork'), ref: 'topic', repository: 'fork/net' } })
  const missing = { checkpoint: 'gone.safetensors', 'missing-checkpoint': 'inconclusive-on-forks' }
  const inputs = { ...missing, series: 'history', baseline: 'none' }
  const ended = await runGate(github, 'good', inputs, { event: 'pull_request', pull: 7 })
  expect({ status: ended.status, verdict: ended.outputs.verdict }).toEqual({ status: 0, verdict: 'inconclusive' })
  expect(annotations(ended)).toContain('There is no series. A series from the history of baselines needs one model')
})

test('series: history takes the baselines that were published with an accuracy', async () => {
  const accuracies = ['0.81', '0.82', '', '0.84']
  for (const [i, accuracy] of accuracies.entries()) {
    expect((await push({ accuracy, 'fail-if': 'accuracy < 0.5' }, commits[i])).status).toBe(accuracy ? 0 : 2)
    if (!accuracy) expect((await push({}, commits[i])).status).toBe(0)
  }
  const head = { event: 'pull_request', pull: 7 } as const
  const run = await runGate(github, 'worse', { accuracy: '0.7', series: 'history' }, head)
  expect(run.status).toBe(0)
  expect(run.outputs).toMatchObject({ 'series-metric': '', 'series-verdict': 'too-few' })
  const { points } = readSeries(run.outputs['series-json']!)
  expect(points.map(({ name, target }) => [name, target])).toEqual([
    [commits[0]!.slice(0, 12), 0.81],
    [commits[1]!.slice(0, 12), 0.82],
    [github.pulls.get(7)!.head.sha.slice(0, 12), 0.7],
  ])
  expect(points[0]!.metrics.alpha).toBeCloseTo(1.988, 3)
  expect(points[2]!.metrics.alpha).toBeCloseTo(3.15, 2)
})

test.each<[Record<string, string>, RegExp]>([
  [{ checkpoint: '', mode: 'series' }, /The input series is empty/],
  [{ checkpoint: '', series: 'models.csv' }, /The input checkpoint is empty/],
  [{ checkpoint: '', mode: 'series', series: 'history' }, /series: history goes with the gate/],
  [{ series: 'history\nmodels.csv' }, /series: history` is a series of its own|is a series of its own/],
  [{ mode: 'part', series: 'models.csv' }, /series does not go with a part/],
  [{ series: 'history' }, /needs one model, and its accuracy/],
  [{ series: 'no*.csv' }, /series: nothing matches no\*\.csv/],
])('refuses %j', async (inputs, message) => {
  const ended = await push(inputs)
  expect(ended.status).toBe(2)
  expect(annotations(ended)).toMatch(message)
})

test('a hostile table starts no workflow command', async () => {
  const files = { 'models.csv': 'name,error,alpha\n"a\n::set-output name=verdict::passed",1,2\n##[x],2,nan\n' }
  const { stdout, status } = await push({ checkpoint: '', mode: 'series', series: 'models.csv' }, commits[3], files)
  expect(status).toBe(0)
  expect(stdout).not.toMatch(/^\s*::set-output/m)
  expect(stdout).not.toContain('##[')
})
