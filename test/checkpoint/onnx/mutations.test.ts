import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { onnx } from '../../../src/checkpoint/onnx/index.ts'
import { temporaryFolder } from '../../support/folder.ts'
import { readMutants } from './mutate.ts'

// Unpacked copies go where the test removes them: a test runner's worker ends without an exit.
beforeEach(() => void vi.stubEnv('RUNNER_TEMP', temporaryFolder()))
afterEach(() => void vi.unstubAllEnvs())

const fixtures = fileURLToPath(new URL('../../fixtures/onnx', import.meta.url))

test.each(['dtypes.onnx', 'nested.onnx', 'labels.onnx', 'quantised.onnx', 'external.onnx', 'labels.onnx.gz'])(
  '2,000 mutants of %s end in tensors or a CheckpointError',
  async file => {
    const folder = temporaryFolder()
    copyFileSync(join(fixtures, 'external.data'), join(folder, 'external.data'))
    const { read, refused, slowest } = await readMutants(onnx, join(fixtures, file), 2_000, folder)
    expect(read + refused).toBe(2_000)
    expect(refused).toBeGreaterThan(0)
    expect(slowest).toBeLessThan(2_000)
  },
)
