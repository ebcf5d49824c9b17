import { basename, isAbsolute, relative, resolve, sep } from 'node:path'

/** A path that says nothing of the machine: relative to the working directory, or the last component. */
export function portable(path: string): string {
  const inside = relative(process.cwd(), resolve(path))
  if (inside === '') return '.'
  return isElsewhere(inside) ? basename(path) : inside.split(sep).join('/')
}

/** The same, where it matters that what lies elsewhere lies elsewhere: with `../` in front. */
export function portableFrom(path: string): string {
  return isElsewhere(relative(process.cwd(), resolve(path))) ? `../${basename(path)}` : portable(path)
}

function isElsewhere(relative: string): boolean {
  return relative.startsWith('..') || isAbsolute(relative)
}
