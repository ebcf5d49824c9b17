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
    if (!existsSync(json))
      execFileSync('node', ['dist/cli.js', file, '--json', json, '--quiet'], { stdio: ['ignore', 'ignore', 'inherit'] })
    networks.push({ kind, seed: Number(seed), accuracy: Number(accuracy), report: await readReport(json) })
  }
  return networks
}

function verdictOf(head: Network, base: Network): Verdict {
  const { options, models } = base.report
  const { pairs } = compare(head.report.models, head.report.options, { path: '', kind: 'report', options, models })
  return judge({ rules: [], enforce: true }, pairs, { cause: '' })
}

const share = (n: number, of: number) => `${((100 * n) / of).toFixed(1)} %`
const spread = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const fails = ({ rules }: Verdict) => rules.some(({ level, outcome }) => level === 'fail' && outcome !== 'ok')
const says = ({ rules }: Verdict) => rules.length > 0
const named = (verdicts: readonly Verdict[]) => {
  const counts = new Map<string, number>()
  for (const { rules } of verdicts) for (const { name = '?' } of rules) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([name, n]) => `${name} ${n}`)
    .join(', ')
}

const root = process.argv[2]
if (!root) throw new Error('usage: node bench/judgement/run.js FOLDER, where train.py wrote its networks')
console.log('| set-up | heads | n | accuracy | fail | fail or warn | rules |')
console.log('| --- | --- | --: | --: | --: | --: | --- |')
for (const setup of readdirSync(root).filter(name => existsSync(join(root, name, 'accuracy.csv')))) {
  const networks = await readSetup(join(root, setup))
  const good = networks.filter(({ kind }) => kind === 'good')
  const row = (name: string, heads: readonly Network[], verdicts: readonly Verdict[]) => {
    const accuracy = spread(heads.map(({ accuracy }) => accuracy)).toFixed(2)
    const [failed, said] = [verdicts.filter(fails).length, verdicts.filter(says).length]
    console.log(
      `| ${setup} | ${name} | ${verdicts.length} | ${accuracy} | ${share(failed, verdicts.length)} | ${share(said, verdicts.length)} | ${named(verdicts)} |`,
    )
  }
  const pairs = good.flatMap(head => good.filter(base => base !== head).map(base => verdictOf(head, base)))
  row('**other seeds**', good, pairs)
  const kinds = [...new Set(networks.map(({ kind }) => kind))].filter(kind => kind !== 'good')
  for (const kind of kinds) {
    const heads = networks.filter(network => network.kind === kind)
    const verdicts = heads.map(head => verdictOf(head, good.find(({ seed }) => seed === head.seed)!))
    row(HARMLESS.includes(kind) ? `**${kind}**` : kind, heads, verdicts)
  }
  const identical = good.map(network => verdictOf(network, network))
  if (identical.some(says)) throw new Error('a network was told from itself')
}
