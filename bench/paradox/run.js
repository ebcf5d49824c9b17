// node bench/paradox/run.js [--seeds 1000]
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const folder = fileURLToPath(new URL('../../node_modules/.bench/', import.meta.url))
mkdirSync(folder, { recursive: true })
await build({
  entryPoints: [fileURLToPath(new URL('rates.ts', import.meta.url))],
  outfile: `${folder}rates.mjs`,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'error',
  define: { SPECTRAL_GATE_VERSION: '"bench"' },
})
await import(`${folder}rates.mjs`)
