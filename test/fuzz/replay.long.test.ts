import { expect, test } from 'vitest'
import { temporaryFolder } from '../support/folder.ts'
import { collectSeeds, fuzz } from './fuzz.ts'

const seeds = await collectSeeds(['test/fixtures'])

test.each([...seeds])('2,000 mutations of %s end in tensors or a typed error', async (container, files) => {
  const outcome = await fuzz(container, files, { inputs: 2_000, seed: 42, folder: temporaryFolder() })
  expect(outcome.failures).toEqual([])
  expect(outcome.accepted).toBeGreaterThan(0)
  expect(outcome.refused).toBeGreaterThan(0)
})
