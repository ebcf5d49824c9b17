// node bench/paradox/run.js [--seeds 1000]
import { runScript } from '../../src/build/script.js'

await runScript(new URL('rates.ts', import.meta.url))
