import { defineConfig } from 'vitest/config'
import type { Reporter, TestModule } from 'vitest/node'

/** One line that any CI can count. */
const closingLine: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const states = modules.flatMap(module => [...module.children.allTests()].map(test => test.result().state))
    const count = (state: string) => states.filter(s => s === state).length
    const broken = modules.filter(module => module.errors().length > 0).length
    console.log(`${count('passed')} passed, ${count('failed') + broken} failed, ${count('skipped')} skipped`)
  },
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', closingLine],
    testTimeout: 60_000,
  },
})
