import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { gguf } from '../../../src/checkpoint/gguf/index.ts'
import { readMutants } from '../onnx/mutate.ts'

const fixtures = fileURLToPath(new URL('../../fixtures/gguf', import.meta.url))

test.each(['plain.gguf', 'aligned.gguf', 'version2.gguf', 'quantised.gguf'])(
  '2,000 mutants of %s end in tensors or a CheckpointError',
  async file => {
    const { read, refused, slowest } = await readMutants(gguf, join(fixtures, file), 2_000)
    expect(read + refused).toBe(2_000)
    expect(refused).toBeGreaterThan(0)
    expect(slowest).toBeLessThan(2_000)
  },
)
