import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { compare } from '../../src/comparison/compare.ts'
import { judge } from '../../src/policy/judge.ts'
import { readReport } from '../../src/report/io.ts'
import type { Report, Verdict } from '../../src/report/schema.ts'

/** Changes that leave a network as good as it was. */
const HARMLESS = ['bfloat16', 'float16', '8 bits', 'one more epoch', 'fine-tuned']

interface Network {
  readonly kind: string
  readonly seed: number
  readonly accuracy: number
  readonly report: Report
}

/** Every network of a set-up, analysed once: the reports stay beside the files. */
async function readSetup(folder: string): Promise<Network[]> {
  const [, ...rows] = readFileSync(join(folder, 'accuracy.csv'), 'utf8').trim().split('\n')
  const networks: Network[] = []
  for (const row of rows) {
    const [kind, seed, accuracy] = row.split(',')
    const file = join(folder, `${kind}-${seed}.safetensors`)
    const json = `${file}.json`
    // A network that diverged fails by itself: its report is written all the same.
    const options = ['--json', json, '--quiet', '--no-enforce']
    if (!existsSync(json))
      execFileSync('node', ['dist/cli.js', file, ...options], { stdio: ['ignore', 'ignore', 'inherit'] })
    networks.push({ kind, seed: Number(seed), accuracy: Number(accuracy), report: await readReport(json) })
  }
  return networks
}

function verdictOf(head: Network, base: Network): Verdict {
  const { options, models } = base.report
  const { pairs } = compare(head.report.models, head.report.options, { path: '', kind: 'report', options, models })
  return judge({ rules: [], enforce: true }, pairs, { cause: '' })
}

interface Row {
  readonly accuracy: string
  readonly n: number
  readonly fail: number
  readonly said: number
}

const isFailed = ({ rules }: Verdict) => rules.some(({ level, outcome }) => level === 'fail' && outcome !== 'ok')
const saysSomething = ({ rules }: Verdict) => rules.length > 0
const percent = (part: number, of: number) => `${Number(((100 * part) / of).toFixed(1))}`

function rowOf(heads: readonly Network[], verdicts: readonly Verdict[]): Row {
  const accuracy = heads.reduce((sum, { accuracy }) => sum + accuracy, 0) / heads.length
  const [fail, said] = [isFailed, saysSomething].map(holds => verdicts.filter(holds).length)
  return { accuracy: accuracy.toFixed(2), n: verdicts.length, fail, said }
}

const root = process.argv[2]
if (!root) throw new Error('usage: node bench/judgement/run.js FOLDER, where train.py wrote its networks')
const setups = readdirSync(root).filter(name => existsSync(join(root, name, 'accuracy.csv')))
const table = new Map<string, Row[]>()
const add = (kind: string, row: Row) => table.set(kind, [...(table.get(kind) ?? []), row])
for (const setup of setups) {
  const networks = await readSetup(join(root, setup))
  const good = networks.filter(({ kind }) => kind === 'good')
  const pairs = good.flatMap(head => good.filter(base => base !== head).map(base => verdictOf(head, base)))
  add('**other seeds**', rowOf(good, pairs))
  const kinds = [...new Set(networks.map(({ kind }) => kind))].filter(kind => kind !== 'good')
  for (const kind of kinds) {
    const heads = networks.filter(network => network.kind === kind)
    const verdicts = heads.map(head => verdictOf(head, good.find(({ seed }) => seed === head.seed)!))
    add(HARMLESS.includes(kind) ? `**${kind}**` : kind, rowOf(heads, verdicts))
  }
  if (good.some(network => saysSomething(verdictOf(network, network))))
    throw new Error('a network was told from itself')
}
console.log(`| heads (${setups.join(' / ')}) | n | accuracy | fail, % | fail or warn, % |`)
console.log('| --- | --- | --- | --- | --- |')
for (const [kind, rows] of table) {
  const slashed = (text: (row: Row) => string) =>
    [...new Set(rows.map(text))].length === 1 ? text(rows[0]) : rows.map(text).join(' / ')
  console.log(
    `| ${kind} | ${slashed(({ n }) => `${n}`)} | ${slashed(({ accuracy }) => accuracy)} | ${slashed(({ fail, n }) => percent(fail, n))} | ${slashed(({ said, n }) => percent(said, n))} |`,
  )
}
