// Builds dist/, docs/*.schema.json and the inputs of action.yml from src/, the same bytes for the same sources: `npm run build`.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { clientPlugin } from './client.js'
import { kernelPlugin } from './kernel.js'

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))

const kernel = await kernelPlugin()
const client = await clientPlugin()
/**
 * What few runs need is a file of its own, loaded by `import()` when needed: the page, the toolkit's artifact client, which is larger
 * than all else together, and libraries for config files, series and products. By the name under which it is imported.
 */
const APART = {
  '@actions/artifact': { file: 'artifact', exports: 'DefaultArtifactClient' },
  yaml: { file: 'yaml', exports: 'LineCounter, isScalar, parseDocument, visit' },
  jstat: { file: 'jstat', exports: 'default' },
  'csv-parse/sync': { file: 'csv-parse', exports: 'parse' },
  'ml-matrix': { file: 'ml-matrix', exports: 'Matrix, QrDecomposition' },
}
const apart = {
  name: 'apart',
  setup: build =>
    build.onResolve({ filter: /./ }, ({ path, kind }) => {
      if (kind !== 'dynamic-import') return undefined
      if (path.endsWith('/page/index.ts')) return { path: './page.js', external: true }
      return APART[path] && { path: `./${APART[path].file}.js`, external: true }
    }),
}
const ours = {
  cli: 'src/cli.ts',
  main: 'src/main.ts',
  worker: 'src/pipeline/worker.ts',
  page: 'src/render/page/index.ts',
}
const inputs = [
  ...Object.entries(ours).map(([name, path]) => ({ name, entryPoints: { [name]: path } })),
  ...Object.entries(APART).map(([path, { file, exports }]) => ({
    name: file,
    stdin: { contents: `export { ${exports} } from '${path}'`, resolveDir: '.', sourcefile: file },
  })),
]
const bundles = await Promise.all(
  inputs.map(({ name, ...input }) =>
    build({
      ...input,
      entryNames: name,
      outdir: 'dist',
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      minifySyntax: true,
      minifyWhitespace: true,
      charset: 'utf8',
      legalComments: 'none',
      define: { SPECTRAL_GATE_VERSION: JSON.stringify(version) },
      // Bundled CommonJS packages call require() of Node's own modules.
      banner: {
        js: `${name === 'cli' ? '#!/usr/bin/env node\n' : ''}import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);`,
      },
      plugins: [kernel, client, apart],
      metafile: true,
      write: false,
      logLevel: 'warning',
    }),
  ),
)
const files = new Map(bundles.flatMap(({ outputFiles }) => outputFiles.map(({ path, text }) => [basename(path), text])))
files.set('licenses.txt', licenses(bundles.flatMap(({ metafile }) => Object.keys(metafile.inputs))))
mkdirSync('dist', { recursive: true })
for (const [name, text] of files) write(join('dist', name), text)
for (const name of readdirSync('dist')) if (!files.has(name)) rmSync(join('dist', name), { recursive: true })
write('docs/report.schema.json', `${JSON.stringify((await load('src/report/schema.ts')).jsonSchema(), null, 2)}\n`)
write('docs/config.schema.json', `${JSON.stringify((await load('src/config/schema.ts')).configSchema(), null, 2)}\n`)
write(
  'docs/series.schema.json',
  `${JSON.stringify((await load('src/series/schema.ts')).seriesJsonSchema(), null, 2)}\n`,
)
const { columnTable } = await load('src/report/columns.ts')
write(
  'docs/metrics.md',
  readFileSync('docs/metrics.md', 'utf8')
    .replace(/(?<=<!-- columns: .*-->\n)[\s\S]*(?=<!-- \/columns -->)/, columnTable())
    .replace(
      /(?<=<!-- advice: .*-->\n)[\s\S]*(?=<!-- \/advice -->)/,
      (await load('src/report/state.ts')).adviceTable(),
    ),
)

write(
  'docs/gating.md',
  readFileSync('docs/gating.md', 'utf8').replace(
    /(?<=<!-- built-in: .*-->\n)[\s\S]*(?=<!-- \/built-in -->)/,
    (await load('src/policy/built-in.ts')).builtInTable(),
  ),
)

const actionInputs = (await load('src/config/table.ts')).actionInputs()
write(
  'action.yml',
  readFileSync('action.yml', 'utf8').replace(/^inputs:\n[\s\S]*?(?=^outputs:)/m, `${actionInputs.trimEnd()}\n\n`),
)

/** Only what changed, so that nothing is missing while somebody runs it. */
function write(path, text) {
  if (!existsSync(path) || readFileSync(path, 'utf8') !== text) writeFileSync(path, text)
}

/** The licence of every package whose code is in the bundle, as their authors ask. */
function licenses(inputs) {
  const folders = new Set(inputs.map(path => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]).filter(Boolean))
  return [...folders]
    .sort()
    .map(folder => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      const file = readdirSync(folder).find(file => /^(licen[cs]e|copying)/i.test(file))
      const text = file ? readFileSync(join(folder, file), 'utf8').trim() : 'No licence text in the package.'
      return `${name} ${version} (${license})\n\n${text}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}

/** What a module of ours exports. */
async function load(path) {
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    format: 'esm',
    platform: 'node',
    write: false,
  })
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`)
}
