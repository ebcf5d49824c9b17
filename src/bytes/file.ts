import type { Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { CheckpointError, MissingCheckpointError } from '../errors.ts'
import { Budget } from './budget.ts'
import { WITHOUT_WAITING } from './small-file.ts'
import { stayInWorkspace } from './workspace.ts'

/** A file read at any offset. Every read is exact: it fails where the file ends early. */
export class RandomAccessFile {
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Of its last change, in milliseconds since 1970. */
  readonly time: number
  /** Of the last change of anything about it, and which file it is. */
  readonly changed: number
  readonly inode: number
  /** What reading it has taken. */
  readonly budget: Budget
  readonly #handle: FileHandle

  private constructor(path: string, { size, mtimeMs, ctimeMs, ino }: Stats, handle: FileHandle, budget?: Budget) {
    this.path = path
    this.size = size
    this.time = mtimeMs
    this.changed = ctimeMs
    this.inode = ino
    this.budget = budget ?? new Budget(path, size)
    this.#handle = handle
  }

  /**
   * @param budget of the file that this one is an unpacked copy of
   * @throws CheckpointError where the file is absent, unreadable or not a regular file.
   */
  static async open(path: string, budget?: Budget): Promise<RandomAccessFile> {
    await stayInWorkspace(path)
    let handle: FileHandle
    try {
      handle = await open(path, WITHOUT_WAITING)
    } catch (cause) {
      throw unreadable(path, cause)
    }
    const stat = await handle.stat()
    if (!stat.isFile()) {
      await handle.close()
      throw new CheckpointError(path, 'is neither a file nor a folder')
    }
    return new RandomAccessFile(path, stat, handle, budget)
  }

  /**
   * `length` bytes from `offset`. The range is checked against the file's size before anything is allocated.
   * @throws CheckpointError where the file ends before, BudgetError where it is read over and over
   */
  async read(offset: number, length: number): Promise<Buffer> {
    this.#check(offset, length)
    const buffer = Buffer.allocUnsafe(length)
    await this.readInto(buffer, offset)
    return buffer
  }

  /** Fills `target` from `offset`. */
  async readInto(target: Uint8Array, offset: number): Promise<void> {
    this.#check(offset, target.length)
    this.budget.read(target.length)
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await this.#handle.read(target, done, target.length - done, offset + done)
      if (bytesRead === 0) throw new CheckpointError(this.path, `ends at byte ${offset + done} while it was being read`)
      done += bytesRead
    }
  }

  close(): Promise<void> {
    return this.#handle.close()
  }

  #check(offset: number, length: number): void {
    if (!(Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0)) {
      throw new CheckpointError(this.path, `asks for ${length} bytes at offset ${offset}`)
    }
    if (offset + length > this.size) {
      throw new CheckpointError(
        this.path,
        `bytes ${offset} to ${offset + length} are needed, but the file has ${this.size}`,
        'The file looks truncated: fetch or save it again.',
      )
    }
  }
}

/** Whether something is there that can be looked at, a file or a folder. */
export function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** What the file system's refusal means to a person. */
export function unreadable(path: string, cause: unknown): CheckpointError {
  const code = (cause as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new MissingCheckpointError(
      path,
      'no such file or folder',
      'Check the path: it is relative to the working directory. Does the step that writes it run before this one?',
      { cause },
    )
  }
  if (code === 'EACCES' || code === 'EPERM') return new CheckpointError(path, 'permission denied', '', { cause })
  return new CheckpointError(path, `can't be read (${code ?? String(cause)})`, '', { cause })
}
