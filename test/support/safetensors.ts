import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DTYPE_BITS, type DType, size } from '../../src/checkpoint/types.ts'
import { temporaryFolder } from './folder.ts'

export interface Written {
  readonly dtype?: DType
  readonly shape: readonly number[]
  /** Values for F32 and F64, raw bytes for the other types; zeros where absent. */
  readonly values?: ArrayLike<number> | Uint8Array
}

/** The bytes of a safetensors file. */
export function safetensorsBytes(tensors: Record<string, Written>, metadata?: Record<string, string>): Buffer {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {}
  const parts: Uint8Array[] = []
  let offset = 0
  for (const [name, { dtype = 'F32', shape, values }] of Object.entries(tensors)) {
    const bytes = encode(dtype, size(shape), values)
    header[name] = { dtype, shape, data_offsets: [offset, offset + bytes.length] }
    offset += bytes.length
    parts.push(bytes)
  }
  return withHeader(JSON.stringify(header), Buffer.concat(parts))
}

/** A file with this very header, right or wrong. */
export function withHeader(header: string, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const text = Buffer.from(header)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, data])
}

/** Writes a safetensors file into a folder of its own and returns its path. */
export function writeSafetensors(
  tensors: Record<string, Written>,
  name = 'net.safetensors',
  folder = temporaryFolder(),
): string {
  const path = join(folder, name)
  writeFileSync(path, safetensorsBytes(tensors))
  return path
}

function encode(dtype: DType, elements: number, values?: ArrayLike<number> | Uint8Array): Uint8Array {
  if (values instanceof Uint8Array) return values
  if (!values) return new Uint8Array((elements * DTYPE_BITS[dtype]) / 8)
  if (dtype === 'F32') return new Uint8Array(Float32Array.from(values).buffer)
  if (dtype === 'F64') return new Uint8Array(Float64Array.from(values).buffer)
  throw new Error(`give ${dtype} as bytes`)
}
