// npm run differential -- [--python PATH] [--container NAME] [--cases N] [--seed S] [--keep FOLDER]
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

const built = fileURLToPath(new URL('../../node_modules/.differential/bundle/', import.meta.url))
mkdirSync(built, { recursive: true })
// The version is read beside the bundle.
copyFileSync(new URL('../../package.json', import.meta.url), join(built, '../package.json'))
const outfile = join(built, 'differential.mjs')
await build({
  entryPoints: [fileURLToPath(new URL('main.ts', import.meta.url))],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  logLevel: 'error',
})
await import(pathToFileURL(outfile).href)
