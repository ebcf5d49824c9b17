import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Layer, strictReport } from '../../src/report/schema.ts'
import { cli } from '../support/cli.ts'

const FOLDER = 'test/fixtures/twins'
const DISTRIBUTED = '../distributed/dcp'
const files = [...readdirSync(FOLDER).filter(name => !name.startsWith('sb3') && !name.endsWith('.py')), DISTRIBUTED]

async function layers(name: string): Promise<Layer[]> {
  const { stdout } = await cli(join(FOLDER, name), '--json', '-')
  const [model] = strictReport.parse(JSON.parse(stdout)).models
  return model!.layers
}

/** What does not depend on names and containers. */
const numbers = ({ N, M, rf, num_evals, alpha, D, log_norm, log_spectral_norm, xmin, stable_rank }: Layer) => ({
  ...{ N, M, rf, num_evals, alpha, D, log_norm, log_spectral_norm, xmin, stable_rank },
})

test('the same network has the same numbers in every container', async () => {
  const expected = (await layers('net.safetensors')).map(numbers)
  expect(expected.map(({ N, M, rf }) => [N, M, rf])).toEqual([
    [12, 10, 9],
    [16, 12, 1],
    [24, 16, 1],
    [24, 11, 1],
  ])
  expect(files).toHaveLength(16)
  for (const name of files) {
    const found = (await layers(name)).map(numbers)
    expect(found, name).toHaveLength(expected.length)
    // Keras keeps the transpose, whose spectrum is the same but for the last bits.
    for (const [i, row] of found.entries()) {
      for (const [metric, value] of Object.entries(row)) {
        const wanted = expected[i]![metric as keyof typeof row]!
        expect(Math.abs(value! - wanted), `${name}: ${metric} of layer ${i}`).toBeLessThanOrEqual(
          1e-12 * Math.abs(wanted),
        )
      }
    }
  }
})

test('a Stable-Baselines3 zip has the numbers of its policy', async () => {
  const [zip, policy] = [await layers('sb3.zip'), await layers('sb3-policy.pt')]
  expect(zip).toHaveLength(3)
  expect(zip.map(numbers)).toEqual(policy.map(numbers))
})
