import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = join(ROOT, 'src')

/** Files that run in the product: the kernel is compiled apart from the rest, and build/ makes dist/. */
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter(file => /\.ts$/.test(file) && !/\.d\.|^(spectrum\/kernel|build)\//.test(file))
  .sort()

interface Imports {
  readonly ours: readonly string[]
  readonly packages: readonly string[]
}

/** What each file imports, types included; `atOnce` leaves out types and what is imported when needed. */
function importsOf(file: string, { atOnce = false } = {}): Imports {
  const text = readFileSync(join(SOURCE, file), 'utf8')
  const pattern = atOnce
    ? /^(?:import|export) (?!type )[^;]*?from '([^']+)'/gm
    : /(?:^(?:import|export) [^;]*?from |\bimport\()'([^']+)'/gm
  const found = [...text.matchAll(pattern)].map(([, specifier]) => specifier)
  return {
    ours: found.filter(name => name.endsWith('.ts')).map(name => relative(SOURCE, join(SOURCE, dirname(file), name))),
    packages: found.filter(name => !name.startsWith('.') && !name.startsWith('node:')),
  }
}

/** The order that docs/development.md draws: the ground floor, then each room along the arrows, then walks and doors. */
function drawnOrder(): string[][] {
  const drawing = readFileSync(join(ROOT, 'docs/development.md'), 'utf8').split('```')[1]
  const line = (start: string) => drawing.split('\n').find(line => line.startsWith(start)) ?? ''
  const names = (text: string) => [...text.matchAll(/([a-z]+\/|[a-z]+\.ts)/g)].map(([, name]) => name)
  return [
    ...names(line('ground floor:')).map(name => [name]),
    ...names(line('checkpoint/')).map(name => [name]),
    ...names(line('then:')).map(name => [name]),
    names(line('doors:')),
  ]
}

const order = drawnOrder()

function floor(file: string): number {
  return order.findIndex(names => names.some(name => (name.endsWith('/') ? file.startsWith(name) : file === name)))
}

test('every file stands in a room of the drawing', () => {
  expect(files.length).toBeGreaterThan(100)
  expect(files.filter(file => floor(file) < 0)).toEqual([])
})

test('a room imports only from rooms before it', () => {
  const upward = files.flatMap(file =>
    importsOf(file)
      .ours.filter(target => floor(target) > floor(file))
      .map(target => `${file} → ${target}`),
  )
  expect(upward).toEqual([])
})

test('no file leads back to itself', () => {
  const circles = new Set<string>()
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]) => {
    const at = path.indexOf(file)
    if (at >= 0) circles.add([...path.slice(at), file].join(' → '))
    if (at >= 0 || done.has(file)) return
    for (const target of importsOf(file).ours) visit(target, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  expect([...circles]).toEqual([])
})

test('only the Action talks to GitHub', () => {
  const users = files.filter(file => importsOf(file).ours.some(target => target.startsWith('github/')))
  expect(users.filter(file => !/^(main\.ts$|action\/|github\/)/.test(file))).toEqual([])
})

test('the command line starts without what not every run needs', () => {
  const seen = new Set<string>(['cli.ts'])
  const packages = new Set<string>()
  for (const file of seen) {
    const { ours, packages: used } = importsOf(file, { atOnce: true })
    for (const target of ours) seen.add(target)
    for (const name of used) packages.add(name)
  }
  expect([...packages]).toEqual(['fastest-levenshtein'])
  expect([...seen].filter(file => /^(pipeline|spectrum|checkpoint|render)\//.test(file))).toEqual([])
})

test('a package in a file of its own has all that is taken from it when it is needed', async () => {
  const taken = files.flatMap(file => {
    const text = readFileSync(join(SOURCE, file), 'utf8')
    return [...text.matchAll(/const \{ ([^}]*) \} = await import\('([^.'][^']*)'\)/g)].map(([, names, name]) => ({
      name,
      names: names.split(', ').map(one => one.split(':')[0]),
    }))
  })
  expect(taken.length).toBeGreaterThan(7)
  const build = readFileSync(join(SOURCE, 'build/build.js'), 'utf8')
  const exported = new Map(
    [...build.matchAll(/^ {2}'?([^':]+)'?: \{ file: '[^']*', exports: '([^']*)' \}/gm)].map(([, name, exports]) => [
      name,
      exports.split(', '),
    ]),
  )
  expect(exported.size).toBeGreaterThan(4)
  for (const { name, names } of taken) expect(exported.get(name) ?? names, name).toEqual(expect.arrayContaining(names))
})
