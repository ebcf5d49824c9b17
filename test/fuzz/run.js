// npm run fuzz -- [--container NAME] [--inputs N] [--seed S]
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const outfile = fileURLToPath(new URL('../../node_modules/.fuzz/main.mjs', import.meta.url))
mkdirSync(fileURLToPath(new URL('../../node_modules/.fuzz/', import.meta.url)), { recursive: true })
const entry = fileURLToPath(new URL('main.ts', import.meta.url))
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'error',
})
await import(outfile)
