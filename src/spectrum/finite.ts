import type { FloatDType } from '../checkpoint/types.ts'

/**
 * Where the first NaN or infinity is among little-endian elements: those whose exponent has all bits set.
 * @param bytes whole elements, aligned to their size
 * @returns an index, or −1
 */
export function firstNonFinite(dtype: FloatDType, bytes: Uint8Array): number {
  switch (dtype) {
    case 'F64': {
      // The upper half of each double.
      const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
      for (let i = 1; i < words.length; i += 2) if ((words[i] & 0x7ff00000) === 0x7ff00000) return i >> 1
      return -1
    }
    case 'F32':
      return firstMasked(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4), 0x7f800000)
    case 'F16':
      return firstMasked(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), 0x7c00)
    case 'BF16':
      return firstMasked(new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2), 0x7f80)
    case 'F8_E4M3':
      return firstMasked(bytes, 0x7f)
    case 'F8_E5M2':
      return firstMasked(bytes, 0x7c)
  }
}

function firstMasked(words: Uint32Array | Uint16Array | Uint8Array, mask: number): number {
  for (let i = 0; i < words.length; i++) if ((words[i] & mask) === mask) return i
  return -1
}
