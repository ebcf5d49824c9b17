import { randomUUID } from 'node:crypto'
import {
  access,
  constants,
  mkdir,
  open,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { FORMAT_NAMES, FORMATS, type FormatName } from '../config/formats.ts'
import { UserError } from '../errors.ts'
import { renderText, type TextOptions } from '../render/text.ts'
import type { Report } from '../report/schema.ts'

/**
 * Before the work begins: that each output can be written, and would not take the place of an input or of another output.
 * @param inputs files and folders that are read
 * @returns the same for files that are found to be read later, such as shards
 * @throws UserError naming the path
 */
export async function prepareOutputs(
  outputs: readonly string[],
  inputs: readonly string[],
): Promise<(files: readonly string[]) => Promise<void>> {
  const taken = new Map<string, string>()
  for (const input of inputs) {
    const names = await readdir(input).catch(() => [])
    for (const path of [input, ...names.map(name => join(input, name))]) {
      const id = await identity(path)
      if (id) taken.set(id, taking(path).message)
    }
  }
  for (const path of outputs) {
    try {
      await makeFolder(dirname(path))
      const found = await identity(path)
      const id = found ?? `${await identity(dirname(path))}/${basename(path)}`
      const reason = taken.get(id)
      if (reason) throw new UserError(reason, 'Name another file.')
      if ((await stat(path).catch(() => undefined))?.isFile() !== false)
        taken.set(id, `${path} is named for two outputs`)
      await access(found ? path : dirname(path), constants.W_OK)
    } catch (cause) {
      throw cause instanceof UserError ? cause : unwritable(path, cause)
    }
  }
  return async files => {
    if (outputs.length === 0) return
    const targets = new Set(await Promise.all(outputs.map(identity)))
    for (const file of files) {
      const id = await identity(file)
      if (id && targets.has(id)) throw taking(file)
    }
  }
}

function taking(path: string): UserError {
  return new UserError(`${path} is read: the output would take its place`, 'Name another file.')
}

/** The same for every path that leads to the file, undefined where there is none. */
async function identity(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return found && `${found.dev}:${found.ino}`
}

/**
 * Writes the report in each of the wanted formats. `-` is standard output, and then nothing else goes there; otherwise it gets
 * the table for people.
 */
export async function renderOutput(
  report: Report,
  outputs: Partial<Record<FormatName, string>>,
  print: (text: string) => void,
  detail: TextOptions = {},
): Promise<void> {
  let taken = false
  for (const format of FORMAT_NAMES) {
    const path = outputs[format]
    if (path === undefined) continue
    const text = await FORMATS[format].render(report)
    if (path === '-') print(text)
    else await write(path, text)
    taken ||= path === '-'
  }
  if (!taken) print(renderText(report, detail))
}

/**
 * A file is written beside its place and then moved there: what stood there before is whole until then.
 * @throws UserError naming the path
 */
export async function write(path: string, text: string): Promise<void> {
  try {
    if (await isDescriptor(path)) return await writeFile(path, text, { flag: 'a' })
    await makeFolder(dirname(path))
    const target = await realpath(path).catch(() => path)
    const found = await stat(target).catch(() => undefined)
    if (found && !found.isFile()) return await writeInto(target, text)
    const beside = `${target}.${randomUUID().slice(0, 8)}.tmp`
    try {
      await writeFile(beside, text, { flag: 'wx', ...(found && { mode: found.mode }) })
      await rename(beside, target)
    } catch (error) {
      await rm(beside, { force: true })
      throw error
    }
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

/** Whether a path leads through what a process has open (/dev/stdout, /dev/fd/5): what is named is that, and no file to be replaced. */
async function isDescriptor(path: string): Promise<boolean> {
  let place = resolve(path)
  for (let hop = 0; hop < HOPS; hop++) {
    if (/^\/proc\/[^/]+\/fd\/|^\/dev\/fd\//.test(place)) return true
    const link = await readlink(place).catch(() => undefined)
    if (link === undefined) return false
    place = resolve(dirname(place), link)
  }
  return false
}

/** Links from one to the next. */
const HOPS = 8

/** Into a pipe or a device: one that nobody reads from would be waited for without end. */
async function writeInto(path: string, text: string): Promise<void> {
  // Held open meanwhile, so that its reader sees one end alone.
  const first = await open(path, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    await writeFile(path, text)
  } finally {
    await first.close()
  }
}

/** One after the other: below a folder that takes none, such as /proc, `recursive` tries again without end. */
async function makeFolder(path: string): Promise<void> {
  const missing: string[] = []
  for (let folder = path; !(await identity(folder)); folder = dirname(folder)) missing.push(folder)
  for (const folder of missing.reverse()) {
    await mkdir(folder).catch(error => {
      // Another run may have made it.
      if (error.code !== 'EEXIST') throw error
    })
  }
}

function unwritable(path: string, cause: unknown): UserError {
  return new UserError(`${path}: can't be written (${(cause as NodeJS.ErrnoException).code})`, '', { cause })
}
