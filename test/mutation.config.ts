import { defineConfig } from 'vitest/config'
import config from './vitest.config.ts'

/** The tests that run the mutated rooms in their own process; what runs dist/ would not see a mutation. */
const rooms = ['metrics', 'policy', 'comparison', 'report', 'render', 'layers', 'pipeline']

const { test, ...rest } = await config({ mode: 'test', command: 'serve' })

export default defineConfig({
  ...rest,
  test: {
    ...test,
    // The last takes seconds a mutant.
    exclude: ['test/**/*.long.test.ts'],
    include: rooms.map(room => `test/${room}/**/*.test.ts`),
    globalSetup: [],
    // The first run counts what each test covers, which takes several times as long.
    testTimeout: 600_000,
  },
})
