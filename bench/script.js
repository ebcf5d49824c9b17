import { mkdirSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

/** Runs a script in TypeScript that uses what src/ has; the engine's kernel aside. */
export async function runScript(url) {
  const folder = fileURLToPath(new URL('../node_modules/.bench/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const outfile = `${folder}${basename(url.pathname, '.ts')}.mjs`
  await build({
    entryPoints: [fileURLToPath(url)],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
    define: { SPECTRAL_GATE_VERSION: '"bench"' },
  })
  await import(outfile)
}
