// node bench/judgement/run.js FOLDER, where train.py wrote its networks; or random-like
import { runScript } from '../../src/build/script.js'

await runScript(new URL(process.argv[2] === 'random-like' ? 'random-like.ts' : 'measure.ts', import.meta.url))
