// node bench/paradox/run.js [--seeds 1000]
import { runScript } from '../script.js'

await runScript(new URL('rates.ts', import.meta.url))
