import type { FloatDType } from '../checkpoint/types.ts'
import { widen } from '../checkpoint/widen.ts'

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
      return firstMasked(wordsOf(dtype, bytes), 0x7f800000)
    case 'F16':
      return firstMasked(wordsOf(dtype, bytes), 0x7c00)
    case 'BF16':
      return firstMasked(wordsOf(dtype, bytes), 0x7f80)
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

/**
 * The largest magnitude among little-endian elements.
 * @param bytes whole elements, aligned to their size
 * @returns 0 where there is none; NaN or Infinity where one of them is
 */
export function largestMagnitude(dtype: FloatDType, bytes: Uint8Array): number {
  if (dtype === 'F64') {
    let largest = 0
    for (const value of new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)) {
      const magnitude = Math.abs(value)
      if (!(magnitude <= largest)) largest = magnitude
      if (Number.isNaN(largest)) break
    }
    return largest
  }
  // Without its sign, a larger pattern is a larger float, and a NaN the largest of all.
  const words = wordsOf(dtype, bytes)
  const magnitude = 0xffff_ffff >>> (33 - 8 * words.BYTES_PER_ELEMENT)
  let largest = 0
  for (let i = 0; i < words.length; i++) if ((words[i] & magnitude) > largest) largest = words[i] & magnitude
  const pattern = new Uint8Array(new Uint32Array([largest]).buffer, 0, words.BYTES_PER_ELEMENT)
  return widen(dtype, pattern)[0]
}

function wordsOf(dtype: Exclude<FloatDType, 'F64'>, bytes: Uint8Array): Uint32Array | Uint16Array | Uint8Array {
  if (dtype === 'F32') return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
  return dtype === 'F16' || dtype === 'BF16' ? new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2) : bytes
}
