import { basename, isAbsolute, relative, resolve, sep } from 'node:path'

/** A path that says nothing of the machine: relative to the working directory, or the last component. */
export function portable(path: string): string {
  const inside = relative(process.cwd(), resolve(path))
  if (inside === '') return '.'
  return inside.startsWith('..') || isAbsolute(inside) ? basename(path) : inside.split(sep).join('/')
}
