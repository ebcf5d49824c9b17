// npm run differential -- [--python PATH] [--container NAME] [--cases N] [--seed S] [--keep FOLDER]
import { runScript } from '../../src/build/script.js'

await runScript(new URL('main.ts', import.meta.url))
