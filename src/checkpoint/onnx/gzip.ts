import { randomUUID } from 'node:crypto'
import { createReadStream, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, gunzipSync } from 'node:zlib'
import { CheckpointError, RESAVE } from '../../errors.ts'
import { limits } from '../../limits.ts'

const UNPACK = 'Unpack it with gunzip before this step, and name the result.'

/** The first bytes of what a gzip file holds; empty where it is none. */
export function gunzipHead(head: Buffer): Buffer {
  if (head.length < 18 || head[0] !== 0x1f || head[1] !== 0x8b || head[2] !== 8) return Buffer.alloc(0)
  try {
    // Without the checksum at the end: a damaged file is one, and is to be refused as such.
    return gunzipSync(head.subarray(0, -8), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, 4096)
  } catch {
    return Buffer.alloc(0)
  }
}

/**
 * Unpacks a gzip file, in bounded memory, into a temporary file that is removed when the process ends. Tensors are read one by one
 * and more than once, and gzip can't seek: unpacking it anew for each would take time that grows with the square of their number.
 * @returns the temporary file's path
 * @throws CheckpointError where it is damaged, larger than a protobuf message may be, or more compressed than weights are
 */
export async function unpackToTemporary(path: string, size: number): Promise<string> {
  const temporary = join(process.env.RUNNER_TEMP || tmpdir(), `spectral-gate-${randomUUID()}`)
  const most = Math.min(limits.onnx.messageBytes, Math.max(limits.zip.anyRatioBytes, size * limits.zip.inflateRatio))
  const file = await open(temporary, 'wx', 0o600)
  removeAtExit(temporary)
  let written = 0
  try {
    await pipeline(createReadStream(path), createGunzip(), async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) {
        written += piece.length
        if (written > most) return
        await file.appendFile(piece)
      }
    })
  } catch (cause) {
    if (written <= most) {
      remove(temporary)
      throw damaged(path, cause as NodeJS.ErrnoException)
    }
  } finally {
    await file.close()
  }
  if (written <= most) return temporary
  remove(temporary)
  throw new CheckpointError(path, `unpacks from ${size} to more than ${most} bytes`, UNPACK)
}

function damaged(path: string, cause: NodeJS.ErrnoException): CheckpointError {
  const remedy = cause.code?.startsWith('Z_') ? RESAVE : UNPACK
  return new CheckpointError(path, `can't be unpacked (${cause.message})`, remedy, { cause })
}

const temporaries = new Set<string>()

function removeAtExit(path: string): void {
  if (!process.listeners('exit').includes(removeAll)) process.on('exit', removeAll)
  temporaries.add(path)
}

function removeAll(): void {
  temporaries.forEach(remove)
}

/** Removes an unpacked copy that nobody will read. */
export function remove(path: string): void {
  rmSync(path, { force: true })
  temporaries.delete(path)
}
