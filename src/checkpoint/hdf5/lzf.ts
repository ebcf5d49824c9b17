import { CheckpointError, RESAVE } from '../../errors.ts'

/**
 * h5py's lzf filter: literal runs (a byte below 32 says how many follow, less 1) and copies of what came before (3 bits of length
 * less 2, 7 meaning that a byte more follows, and 13 bits of distance less 1). Source: liblzf, lzf_d.c.
 * @param size bytes that it has to give
 * @throws CheckpointError where it gives more or less
 */
export function lzf(where: string, bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size)
  let from = 0
  let to = 0
  const damaged = () => new CheckpointError(where, `a chunk of it is no ${size} bytes of lzf`, RESAVE)
  while (from < bytes.length) {
    const control = bytes[from++]
    if (control < 32) {
      const run = control + 1
      if (from + run > bytes.length || to + run > size) throw damaged()
      out.set(bytes.subarray(from, from + run), to)
      from += run
      to += run
      continue
    }
    let length = control >> 5
    if (length === 7) length += bytes[from++] ?? 0
    length += 2
    let source = to - ((control & 31) << 8) - (bytes[from++] ?? 0) - 1
    if (from > bytes.length || source < 0 || to + length > size) throw damaged()
    // Byte by byte: a copy may overlap what it makes.
    for (let i = 0; i < length; i++) out[to++] = out[source++]
  }
  if (to !== size) throw damaged()
  return out
}
