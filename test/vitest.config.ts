import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import type { Reporter, TestModule } from 'vitest/node'
import { compileClient } from '../src/build/client.js'
import { compileKernel } from '../src/build/kernel.js'

/** One line that any CI can count. */
const closingLine: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    const states = modules.flatMap(module => [...module.children.allTests()].map(test => test.result().state))
    const count = (state: string) => states.filter(s => s === state).length
    const broken = modules.filter(module => module.errors().length > 0).length
    console.log(`${count('passed')} passed, ${count('failed') + broken} failed, ${count('skipped')} skipped`)
  },
}

/** What the build embeds: the kernel, compiled once a run. */
const kernel = {
  name: 'kernel',
  resolveId: (id: string) => (id.endsWith('kernel.wasm') ? '\0kernel' : undefined),
  load: async (id: string) => {
    if (id !== '\0kernel') return undefined
    return `export default Uint8Array.from(atob('${Buffer.from(await compileKernel()).toString('base64')}'), c => c.charCodeAt(0))`
  },
}

/** The script of the page, as the build embeds it. */
const client = {
  name: 'client',
  resolveId: (id: string) => (id.endsWith('client.script') ? '\0client' : undefined),
  load: async (id: string) =>
    id === '\0client' ? `export default ${JSON.stringify((await compileClient()).text)}` : undefined,
}

/** Minutes of waiting and of processor time: replays, deadlines, what is played against the double of GitHub, whole runs in many ways. */
const LONG = [
  'test/**/*.long.test.ts',
  'test/{checkpoint/twins,layers/order,pipeline/analyses,spectrum/lanczos}.test.ts',
  'test/e2e/{acceptance,action,base,baseline,cli,content,dvc,evasion,faults,github/double,identity,inputs,judged,lost,missing,origin,parts,relay,runner,series,trust}.test.ts',
]

const INCLUDED: Record<string, string[]> = { long: LONG, ci: [...LONG, 'test/e2e/**/*.test.ts'] }

/** `--mode long`: what takes long; `--mode ci`: that, and all that runs `dist/`; `--mode all`: everything. */
export default defineConfig(({ mode }) => ({
  root: fileURLToPath(new URL('..', import.meta.url)),
  plugins: [kernel, client],
  test: {
    include: INCLUDED[mode] ?? ['test/**/*.test.ts'],
    exclude: mode in INCLUDED || mode === 'all' ? [] : LONG,
    maxWorkers: '100%',
    // The files of a room share most of its modules: loaded once a worker, they take a quarter less of the processor.
    isolate: mode in INCLUDED || mode === 'all',
    globalSetup: 'test/support/build.ts',
    reporters: ['default', closingLine],
    testTimeout: 60_000,
  },
}))
