// npm run bench -- [--quick] [--python PATH] [--require-python] [--only kernel|analyses|models]
import { kernelPlugin } from '../src/build/kernel.js'
import { runScript } from '../src/build/script.js'

await runScript(new URL('main.ts', import.meta.url), [await kernelPlugin()])
