import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from '../support/cli.ts'
import { temporaryFolder } from '../support/folder.ts'

const npm = (cwd: string, ...args: string[]) => execFileSync('npm', args, { cwd, encoding: 'utf8', stdio: 'pipe' })

test('as installed from a registry, the command line runs and brings no dependencies', () => {
  const folder = temporaryFolder()
  const [{ filename, files }] = JSON.parse(npm(root, 'pack', '--json', '--pack-destination', folder))
  const paths: string[] = files.map(({ path }: { path: string }) => path)
  expect(paths.filter(path => path.startsWith('dist/')).sort()).toEqual(
    [
      ...['artifact.js', 'cli.js', 'csv-parse.js', 'jstat.js', 'licenses.txt', 'main.js', 'ml-matrix.js', 'page.js'],
      ...['worker.js', 'yaml.js'],
    ].map(name => `dist/${name}`),
  )
  expect(paths.filter(path => /^(src|test|examples|bench)\//.test(path))).toEqual([])
  writeFileSync(join(folder, 'package.json'), '{"private": true}')
  npm(folder, 'install', '--offline', '--no-audit', '--no-fund', `./${filename}`)
  expect(readdirSync(join(folder, 'node_modules')).filter(name => !name.startsWith('.'))).toEqual(['spectral-gate'])
  const command = join(folder, 'node_modules/.bin/spectral-gate')
  const out = execFileSync(command, [join(root, 'examples/digits/depth3-batch8.safetensors')], { encoding: 'utf8' })
  expect(out).toMatch(/✅ passed: no rule is set; alpha \d/)
})
