import { afterAll, beforeAll, expect, test } from 'vitest'
import { FORMATS } from '../../src/config/formats.ts'
import { UserError } from '../../src/errors.ts'
import { gateParts } from '../../src/pipeline/gate.ts'
import { parseRule } from '../../src/policy/rule.ts'
import { renderText } from '../../src/render/text.ts'
import { parsePart, parseReport } from '../../src/report/io.ts'
import { WorkerPool } from '../../src/spectrum/pool.ts'
import { cli } from '../support/cli.ts'
import { kindOf, type Path, placesOf, replaced } from '../support/places.ts'

const EXTREMES = [1.7e308, -1.7e308, 5e-324, 0]

const rules = [
  ...['delta(alpha) > 5%', 'any(alpha) > 6', 'mean(alpha where num_evals >= 9) > 6', 'any(delta(log_norm)) > 0.2'],
  ...['delta(alpha_weighted) > 0.1', 'any(num_spikes) > 4', 'any(delta(mp_softrank)) > 10%'],
].map(text => parseRule(text, 'warn'))

const pool = new WorkerPool(new URL('../../dist/worker.js', import.meta.url), 1)
afterAll(() => pool.close())

let head: unknown
let base: unknown
beforeAll(async () => {
  const analyses = ['--mp-fit', '--detx', '--randomize', '--other-laws', '--farms', '--bootstrap', '100']
  const made = async (checkpoint: string, ...more: string[]): Promise<unknown> => {
    const args = [`examples/digits/${checkpoint}.safetensors`, ...analyses, '--json', '-', ...more]
    return JSON.parse((await cli(...args)).stdout)
  }
  head = await made('depth4-batch128', '--shard', '1/1')
  base = await made('depth4-batch64')
})

/** Every form of the verdict, or why there is none. */
async function outcome(head: Buffer, base: Buffer): Promise<string> {
  try {
    const report = await gateParts(
      [{ where: 'head.json', report: parsePart(head, 'head.json') }],
      {
        baseline: { report: parseReport(base, 'base.json'), where: 'base.json', trusted: false },
        policy: { rules, enforce: true },
      },
      { engine: pool },
    )
    const written = await Promise.all(Object.values(FORMATS).map(format => format.render(report)))
    return [renderText(report, { width: 100 }), ...written].join('\n')
  } catch (error) {
    if (error instanceof UserError) return `refused: ${error.message}`
    return `fault: ${error}`
  }
}

test.each([
  ['a part', 'head'],
  ['a baseline', 'base'],
] as const)(
  'no number of %s leads to a fault, or to one that is none',
  async (_, side) => {
    const json = side === 'head' ? head : base
    const kinds = new Map<string, Path[]>()
    for (const path of placesOf('number', json)) kinds.set(kindOf(path), [...(kinds.get(kindOf(path)) ?? []), path])
    const found: string[] = []
    let read = 0
    for (const [kind, paths] of kinds) {
      for (const value of EXTREMES) {
        for (const some of [paths.slice(0, 1), paths]) {
          const changed = Buffer.from(JSON.stringify(replaced(json, some, value)))
          const unchanged = Buffer.from(JSON.stringify(side === 'head' ? base : head))
          const said = await (side === 'head' ? outcome(changed, unchanged) : outcome(unchanged, changed))
          const wrong = /^fault: [\s\S]*|.{0,60}(?:NaN|Infinity|undefined).{0,20}/.exec(said)
          if (wrong) found.push(`${kind} ${value}: ${wrong[0]}`)
          if (!said.startsWith('refused')) read++
        }
      }
    }
    expect(found).toEqual([])
    expect(kinds.size).toBeGreaterThan(90)
    expect(read).toBeGreaterThan(250)
  },
  600_000,
)
