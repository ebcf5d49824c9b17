import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import picomatch from 'picomatch'
import { exists } from '../bytes/file.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'

/**
 * The input `checkpoint`, a line each, with patterns such as `out/*.safetensors` expanded in the order of their names: no shell has
 * read it. A change may bring files that are called as a line is, which would take the place of those that it means.
 * @param how `input` names it in errors; `mayMiss` keeps a pattern that matches nothing as it is, for what is not there may be no error
 * @throws UserError where a pattern matches nothing, a name is given to what matches several, or a line can be read in two ways
 */
export async function expandPatterns(
  lines: readonly string[],
  { input = 'checkpoint', mayMiss = false } = {},
): Promise<string[]> {
  const expanded: string[] = []
  for (const line of lines) expanded.push(...(await expand(line, input, mayMiss)))
  return expanded
}

async function expand(line: string, input: string, mayMiss: boolean): Promise<string[]> {
  const [, name, pattern] = /^(?:([^=/\\*?[\]{}]+)=)?(.+)$/s.exec(line)!
  const whole = name === undefined ? [] : await matchesOf(line, input)
  if (whole.length > 0)
    throw new UserError(
      `${input}: ${line} is read as NAME=PATH, but ${whole[0]} is called so as a whole`,
      `Write ./${line} where that is meant, or call it something else.`,
    )
  if (!picomatch.scan(pattern).isGlob) return [line]
  const found = await matchesOf(pattern, input)
  if (await exists(pattern)) {
    if (found.every(path => path === join(pattern))) return [line]
    throw new UserError(
      `${input}: ${pattern} is a pattern, and a file is called so as well`,
      'Call that file something else.',
    )
  }
  if (found.length === 0 && mayMiss) return [line]
  if (found.length === 0) {
    const [folder] = await matchesOf(pattern, input, true)
    throw folder === undefined
      ? new UserError(`${input}: nothing matches ${pattern}`, 'Patterns are relative to the workspace.')
      : new UserError(
          `${input}: no file matches ${pattern}, only folders, such as ${folder}`,
          'Write a line for each folder that is a model, or a pattern of files.',
        )
  }
  if (name !== undefined && found.length > 1)
    throw new UserError(
      `${input}: ${line} names ${found.length} files, of which each needs a name of its own`,
      'Leave the name out, or write a line for each.',
    )
  if (name !== undefined) return [`${name}=${found[0]}`]
  return found.map(path => (/^[^/]*=/.test(path) ? `./${path}` : path))
}

/** What is called so, or the files, or folders, that a pattern matches. */
async function matchesOf(pattern: string, input: string, folders = false): Promise<string[]> {
  const { base, glob, isGlob } = picomatch.scan(pattern)
  if (!isGlob) return (await exists(pattern)) ? [pattern] : []
  const matches = picomatch(glob)
  const found = (await below(base || '.', input, folders)).filter(path => matches(path))
  return found.map(path => join(base, path)).sort()
}

async function below(base: string, input: string, folders: boolean): Promise<string[]> {
  const paths: string[] = []
  const queue = ['']
  for (const folder of queue) {
    const entries = await readdir(join(base, folder), { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      if (entry.name === '.git' || entry.name === 'node_modules') continue
      const path = folder ? `${folder}/${entry.name}` : entry.name
      if (entry.isDirectory()) queue.push(path)
      else paths.push(path)
      if (paths.length + queue.length > limits.folder.entriesCount)
        throw new UserError(
          `${input}: ${base} has more than ${limits.folder.entriesCount} entries to look through for a pattern`,
          'Begin the pattern with the folder that the files lie in.',
        )
    }
  }
  return folders ? queue.slice(1) : paths
}
