import { u32, u64 } from '../../support/bytes.ts'

export const string = (text: string) => Buffer.concat([u64(text.length), Buffer.from(text)])

export const UINT32 = 4
export const STRING = 8
export const ARRAY = 9

export const pair = (key: string, type: number, ...value: Uint8Array[]) =>
  Buffer.concat([string(key), u32(type), ...value])

/** A tensor info; dimensions as the file has them, the fastest first. */
export const info = (name: string, dims: (number | bigint)[], type: number, offset: number | bigint) =>
  Buffer.concat([string(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)])

interface File {
  version?: number
  tensors?: Uint8Array[]
  pairs?: Uint8Array[]
  data?: number
  counts?: [number | bigint, number | bigint]
}

export function gguf({ version = 3, tensors = [], pairs = [], data = 0, counts }: File): Buffer {
  const [infos, metadata] = counts ?? [tensors.length, pairs.length]
  const header = Buffer.concat([Buffer.from('GGUF'), u32(version), u64(infos), u64(metadata), ...pairs, ...tensors])
  return Buffer.concat([header, Buffer.alloc(data > 0 ? ((32 - (header.length % 32)) % 32) + data : 0)])
}
