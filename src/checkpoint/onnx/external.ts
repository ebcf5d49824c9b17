import { realpath, stat } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { unreadable } from '../../bytes/file.ts'
import { readSmallFile } from '../../bytes/small-file.ts'
import { CheckpointError, MissingCheckpointError, quoted } from '../../errors.ts'
import { POINTER_BYTES, refusePointer } from '../pointer.ts'
import type { Stamp } from '../types.ts'

const BESIDE = "External data must lie in the model's own folder: save the model again, or copy its files there."

/**
 * Files beside a model that hold tensors' values: `external_data` entries `location`, `offset` and `length`, as onnx's
 * docs/ExternalData.md describes them. Nothing outside the model's own folder is opened, whatever a location or a symbolic link says.
 */
export class ExternalData {
  readonly #folder: string
  /** Of the files that were named. */
  readonly stamps: Stamp[] = []
  readonly #sizes = new Map<string, number>()

  /** @param model path of the model */
  constructor(model: string) {
    this.#folder = dirname(model)
  }

  /** Bytes of all files that were named. */
  get bytes(): number {
    return [...this.#sizes.values()].reduce((sum, size) => sum + size, 0)
  }

  /** @param bytes that the tensor takes */
  async locate(
    where: string,
    entries: ReadonlyMap<string, string>,
    bytes: number,
  ): Promise<{ path: string; offset: number }> {
    const location = entries.get('location') ?? ''
    const offset = number(where, entries, 'offset') ?? 0
    const path = this.#inside(where, location)
    const size = this.#sizes.get(location) ?? (await this.#open(where, location, path))
    this.#sizes.set(location, size)
    const length = number(where, entries, 'length') ?? bytes
    if (length !== bytes) {
      throw new CheckpointError(where, `takes ${bytes} bytes, but has ${length} in ${quoted(location)}`)
    }
    if (offset + length > size) {
      throw new CheckpointError(
        where,
        `lies at bytes ${offset} to ${offset + length} of ${quoted(location)}, which has ${size}`,
        'The external data is truncated, or belongs to another model: fetch or save both again.',
      )
    }
    return { path, offset }
  }

  #inside(where: string, location: string): string {
    const parts = location.split(/[/\\]/)
    const outside = parts.includes('..') || /^([/\\]|[A-Za-z]:)/.test(location) || location.includes('\0')
    if (location === '' || outside) {
      throw new CheckpointError(where, `its values lie in ${quoted(location)}, outside the model's folder`, BESIDE)
    }
    return join(this.#folder, ...parts)
  }

  /** A backslash separates folders where the model was made on Windows, and is part of a name elsewhere. */
  async #checkName(where: string, location: string): Promise<void> {
    if (!location.includes('\\')) return
    const literal = await stat(join(this.#folder, location)).then(
      () => true,
      () => false,
    )
    if (literal) throw new CheckpointError(where, `${quoted(location)} names two files`, BESIDE)
  }

  async #open(where: string, location: string, path: string): Promise<number> {
    await this.#checkName(where, location)
    let real: string
    let folder: string
    try {
      real = await realpath(path)
      folder = await realpath(this.#folder)
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(path, cause)
      throw new MissingCheckpointError(
        path,
        `no such file, in which ${where} has its values`,
        'Keep the external data beside the model: was the download complete?',
        { cause },
      )
    }
    if (!real.startsWith(folder.endsWith(sep) ? folder : folder + sep)) {
      throw new CheckpointError(where, `${quoted(location)} is a symbolic link out of the model's folder`, BESIDE)
    }
    const found = await stat(real)
    const { size, mtimeMs: time, ctimeMs: changed, ino: inode } = found
    this.stamps.push({ path, size, time, changed, inode })
    if (!found.isFile()) throw new CheckpointError(where, `${quoted(location)} is not a file`, BESIDE)
    if (found.size <= POINTER_BYTES) refusePointer(path, await readSmallFile(real, POINTER_BYTES))
    return found.size
  }
}

function number(where: string, entries: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = entries.get(key)
  if (text === undefined) return undefined
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new CheckpointError(where, `its external data has the ${key} ${quoted(text)}`)
}
