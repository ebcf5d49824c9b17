import { mkdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('../../', import.meta.url))
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/**
 * Bundles a script in TypeScript that uses what src/ has, two folders below the project's root.
 * @returns the bundle's path
 */
export async function bundleScript(url, plugins = []) {
  const entry = fileURLToPath(url)
  const folder = join(root, 'node_modules/.scripts')
  mkdirSync(folder, { recursive: true })
  const outfile = join(folder, `${basename(dirname(entry))}-${basename(entry, '.ts')}.mjs`)
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    logLevel: 'error',
    define: { SPECTRAL_GATE_VERSION: JSON.stringify(version) },
    plugins,
  })
  return outfile
}

/** The same, and runs it here. */
export async function runScript(url, plugins) {
  await import(await bundleScript(url, plugins))
}
