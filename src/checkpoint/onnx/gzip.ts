import { createReadStream, rmSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { constants, createGunzip, gunzipSync } from 'node:zlib'
import { temporaryPath } from '../../bytes/temporary.ts'
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
 * Unpacks a gzip file, in bounded memory, into a temporary file. Where the system has a path for an open file, it has no name any
 * more from then on, and the system removes it however the process ends; elsewhere it is removed at the end. Tensors are read one
 * by one and more than once, and gzip can't seek: unpacking it anew for each would take time that grows with the square of their
 * number.
 * @returns a path of the temporary file
 * @throws CheckpointError where it is damaged, larger than a protobuf message may be, or more compressed than weights are
 */
export async function unpackToTemporary(path: string, size: number): Promise<string> {
  const temporary = temporaryPath()
  const most = Math.min(limits.onnx.messageBytes, Math.max(limits.zip.anyRatioBytes, size * limits.zip.inflateRatio))
  const file = await open(temporary, 'r+')
  const unpacked = process.platform === 'linux' ? `/proc/self/fd/${file.fd}` : temporary
  if (unpacked === temporary) removeAtExit(temporary)
  else rmSync(temporary)
  handles.set(unpacked, file)
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
      await remove(unpacked)
      throw damaged(path, cause as NodeJS.ErrnoException)
    }
  }
  if (written <= most) return unpacked
  await remove(unpacked)
  throw new CheckpointError(path, `unpacks from ${size} to more than ${most} bytes`, UNPACK)
}

function damaged(path: string, cause: NodeJS.ErrnoException): CheckpointError {
  const remedy = cause.code?.startsWith('Z_') ? RESAVE : UNPACK
  return new CheckpointError(path, `can't be unpacked (${cause.message})`, remedy, { cause })
}

/** Open until nobody reads them any more: what has no name lives as long as it is open. */
const handles = new Map<string, FileHandle>()
const named = new Set<string>()

function removeAtExit(path: string): void {
  if (!process.listeners('exit').includes(removeNamed)) process.on('exit', removeNamed)
  named.add(path)
}

function removeNamed(): void {
  for (const path of named) rmSync(path, { force: true })
}

/** Removes an unpacked copy that nobody will read. */
export async function remove(path: string): Promise<void> {
  await handles.get(path)?.close()
  handles.delete(path)
  if (named.delete(path)) rmSync(path, { force: true })
}
