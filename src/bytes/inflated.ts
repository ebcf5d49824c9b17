import { close as closeWithCallback } from 'node:fs'
import { promisify } from 'node:util'
import { CheckpointError, RESAVE } from '../errors.ts'
import type { Budget } from './budget.ts'
import type { RandomAccessFile } from './file.ts'
import { type FileRange, readRange } from './range.ts'
import { readAt, temporaryDescriptor, writeAt } from './temporary.ts'

const close = promisify(closeWithCallback)

/** What a deflated range of a file inflates to, to be read at any offset. */
export interface Inflated {
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly budget: Budget
  /**
   * `length` bytes from `offset`.
   * @throws CheckpointError where there are less, BudgetError
   */
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

interface Copy {
  readonly key: string
  readonly fd: Promise<number>
  users: number
}

/** The copy that was opened last: a member that holds many tensors is opened for each of them. */
let last: Copy | undefined

/**
 * Inflates a range, in bounded memory, into a temporary file without a name. The copy that a thread opened last is kept until it
 * opens another; each opening counts what the copy took, so that no count depends on what was opened before.
 * @throws CheckpointError where the range is damaged
 */
export async function openInflated(file: RandomAccessFile, range: FileRange): Promise<Inflated> {
  const { path, budget } = file
  const size = range.inflated!.size
  const copy = take(file, range)
  let fd: number
  try {
    fd = await copy.fd
  } catch (error) {
    if (last === copy) last = undefined
    throw error
  }
  return {
    path,
    size,
    budget,
    async read(offset, length) {
      if (offset < 0 || length < 0 || offset + length > size) {
        throw new CheckpointError(
          path,
          `bytes ${offset} to ${offset + length} of what is inflated are needed, of ${size}`,
          RESAVE,
        )
      }
      budget.read(length)
      const bytes = await readAt(fd, length, offset)
      if (bytes.length < length) throw new CheckpointError(path, 'its temporary copy ends early')
      return bytes
    },
    close: () => release(copy),
  }
}

function take(file: RandomAccessFile, range: FileRange): Copy {
  const { path, inode, changed, time, size, budget } = file
  const key = JSON.stringify([path, inode, changed, time, size, range])
  const known = last
  if (known?.key === key) {
    known.users++
    budget.read(range.length)
    budget.inflate(range.inflated!.size)
    return known
  }
  last = { key, fd: inflate(file, range), users: 1 }
  if (known?.users === 0) void drop(known)
  return last
}

async function release(copy: Copy): Promise<void> {
  copy.users--
  if (copy.users === 0 && copy !== last) await drop(copy)
}

/** What could not be inflated is closed already. */
async function drop({ fd }: Copy): Promise<void> {
  const open = await fd.catch(() => undefined)
  if (open !== undefined) await close(open)
}

async function inflate(file: RandomAccessFile, range: FileRange): Promise<number> {
  const fd = temporaryDescriptor()
  try {
    let written = 0
    for await (const piece of readRange(file, range)) {
      await writeAt(fd, piece, written)
      written += piece.length
    }
    return fd
  } catch (error) {
    await close(fd)
    throw error
  }
}
