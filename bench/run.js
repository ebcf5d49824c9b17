// npm run bench -- [--quick] [--python PATH] [--require-python] [--only kernel|analyses|models]
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { kernelPlugin } from '../src/build/kernel.js'

const folder = fileURLToPath(new URL('../node_modules/.bench/', import.meta.url))
mkdirSync(folder, { recursive: true })
await build({
  entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
  outfile: `${folder}main.mjs`,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'error',
  plugins: [await kernelPlugin()],
})
await import(`${folder}main.mjs`)
