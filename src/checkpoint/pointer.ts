import { MissingCheckpointError } from '../errors.ts'

/** Bytes that a pointer of Git LFS or DVC has at most. */
export const POINTER_BYTES = 1024

/** The SHA-256 of the content that a Git LFS pointer stands for; undefined where the bytes are none. */
export function lfsObject(bytes: Buffer): string | undefined {
  const text = bytes.toString('latin1', 0, POINTER_BYTES)
  return LFS.test(text) ? /^oid sha256:([0-9a-f]{64})$/m.exec(text)?.[1] : undefined
}

const LFS = /^version https?:\/\/(git-lfs\.github\.com|hawser\.github\.com)\/spec\//

/**
 * A Git LFS or DVC pointer that stands where the weights should: a small text file, known by its content.
 * @param size bytes of the file, of which `head` are the first
 * @throws MissingCheckpointError naming the step that fetches the real file.
 */
export function refusePointer(path: string, head: Buffer, size = head.length): void {
  if (size > POINTER_BYTES) return
  const text = head.toString('latin1', 0, POINTER_BYTES)
  if (LFS.test(text)) {
    const bytes = /^size (\d+)$/m.exec(text)?.[1]
    throw new MissingCheckpointError(
      path,
      `is a Git LFS pointer, not the weights${bytes ? ` (${bytes} bytes)` : ''}`,
      'Fetch the real file: `lfs: true` on actions/checkout, or run `git lfs pull`.',
    )
  }
  if (/^outs:\s*\n-? *(md5|hash|size|path|nfiles)/m.test(text) || /^-? *md5: [0-9a-f]{32}(\.dir)?$/m.test(text)) {
    throw new MissingCheckpointError(
      path,
      'is a DVC pointer, not the weights',
      'Fetch the real file: run `dvc pull` before this step.',
    )
  }
}
