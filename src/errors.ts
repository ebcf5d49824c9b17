/**
 * The user's fault: input that can't be read, or wrong usage. Exit status 2, no stack trace.
 * The message says what was found and where; the remedy says what to do.
 */
export class UserError extends Error {
  override name = 'UserError'
  readonly remedy: string

  constructor(message: string, remedy = '', options?: ErrorOptions) {
    super(message, options)
    this.remedy = remedy
  }
}

/** A checkpoint that is absent, malformed, hostile or of an unknown kind. `where` names the file, and the tensor if there is one. */
export class CheckpointError extends UserError {
  override name = 'CheckpointError'
  readonly where: string

  constructor(where: string, found: string, remedy = '', options?: ErrorOptions) {
    super(`${where}: ${found}`, remedy, options)
    this.where = where
  }
}

/** A file that would take far more work than its size warrants. */
export class BudgetError extends CheckpointError {
  override name = 'BudgetError'
}

/** What to do about a file whose parts do not fit together. */
export const RESAVE = 'The file is truncated or damaged: fetch or save it again.'

const QUOTED = 200

/** A name out of a file as a message quotes it: at most 200 characters of it. */
export function quoted(name: string): string {
  return JSON.stringify(name.slice(0, QUOTED))
}

/** A tensor of a file, as the place of an error. */
export function tensorIn(path: string, name: string): string {
  return `${path}: tensor ${quoted(name)}`
}

/** A checkpoint that is not there, or only as a pointer of Git LFS or DVC: something else should have put it there. */
export class MissingCheckpointError extends CheckpointError {
  override name = 'MissingCheckpointError'
}

/** Why one layer could not be analysed although its checkpoint is readable: its row says so and the analysis goes on. */
export class LayerError extends Error {
  override name = 'LayerError'
  readonly code: LayerErrorCode

  constructor(code: LayerErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

/** `non-finite`: NaN or Inf among the weights, or eigenvalues beyond the range of a double. `worker`: its worker died. `quantised`: a scale is
 * missing or does not fit.
 */
export type LayerErrorCode = 'non-finite' | 'worker' | 'memory' | 'quantised'

/**
 * What the system refused, as the user's fault: no such file, no permission, a full disk, too many open files.
 * @returns undefined for errors that are none of the system's
 */
export function systemError(error: unknown): UserError | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, syscall, path } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || syscall === undefined || !/^E[A-Z0-9]+$/.test(code)) return undefined
  const meaning = MEANINGS[code] ?? `the system says ${code}`
  return new UserError(`${path ?? syscall}: ${meaning}`, '', { cause: error })
}

const MEANINGS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'is a folder',
  ENOTDIR: 'is no folder',
  EMFILE: 'too many files are open',
  ENFILE: 'too many files are open',
  ENOSPC: 'no space is left on the disk',
  EROFS: 'the file system is read-only',
  ENAMETOOLONG: 'the path is too long',
  ELOOP: 'its links lead to themselves',
  EIO: 'the disk does not answer',
}

/** What a person should read of an error, on one line or two. */
export function explain(error: unknown): string {
  if (error instanceof UserError) return error.remedy ? `${error.message}\n${error.remedy}` : error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
