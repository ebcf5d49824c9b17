// node bench/judgement/run.js FOLDER, where train.py wrote its networks
import { runScript } from '../script.js'

await runScript(new URL('measure.ts', import.meta.url))
