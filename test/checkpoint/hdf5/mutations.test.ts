import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'vitest'
import { mutate } from '../keras/mutate.ts'

const folder = fileURLToPath(new URL('../../fixtures/keras/', import.meta.url))
const files = readdirSync(folder).filter(name => name.endsWith('.h5'))

test.each(files)('%s: 2000 mutants end in tensors or in a CheckpointError', async name => {
  await mutate(folder + name, 2000, 6)
})
