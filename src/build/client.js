import { build } from 'esbuild'

const ENTRY = 'src/render/page/client/main.ts'

/** The script of the page, for browsers, as one text. */
export async function compileClient() {
  const { outputFiles, metafile } = await build({
    entryPoints: [ENTRY],
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2020',
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    metafile: true,
    write: false,
    logLevel: 'warning',
  })
  const text = outputFiles[0].text.trim()
  if (/<\/script|<!--/i.test(text)) throw new Error('the script of the page would end its own element')
  return { text, inputs: Object.keys(metafile.inputs) }
}

/** For esbuild: `import script from './client.script'` is that text. */
export async function clientPlugin() {
  const { text: contents } = await compileClient()
  return {
    name: 'client',
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /client\.script$/ }, () => ({ path: 'client.script', namespace: 'client' }))
      onLoad({ filter: /.*/, namespace: 'client' }, () => ({ contents, loader: 'text' }))
    },
  }
}
