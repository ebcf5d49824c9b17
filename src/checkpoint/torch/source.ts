import type { RandomAccessFile } from '../../bytes/file.ts'
import type { RangeParameters } from '../../bytes/range.ts'
import type { ZipSource } from '../../bytes/zip.ts'
import type { ByteSource } from '../types.ts'

/** What a checkpoint is read from: a file, or a member of a zip. `path` names it in errors. */
export interface Source extends ZipSource {
  /** How the engine gets at `bytes` bytes from `offset` on. */
  place(offset: number, bytes: number, strides: readonly number[]): ByteSource
}

/** The whole of a file. */
export function wholeFile(file: RandomAccessFile): Source {
  return part(file, file.path, 0, file.size)
}

/** A range of a file, as a file of its own. */
export function part(file: RandomAccessFile, path: string, base: number, size: number): Source {
  return {
    path,
    size,
    budget: file.budget,
    read: (offset, length) => file.read(base + offset, length),
    place: (offset, _, strides) => ({ kind: 'file', path: file.path, offset: base + offset, strides }),
  }
}

/** A deflated range of a file: `inflated` has its bytes while it is described, the engine inflates them again. */
export function packed(inflated: ZipSource, path: string, range: RangeParameters['range']): Source {
  return {
    ...inflated,
    place(skip, bytes, strides) {
      const parameters: RangeParameters = { range, skip, bytes, swap: 1 }
      return { kind: 'packed', path, codec: 'range', parameters, strides }
    },
  }
}
