import { half } from '../widen.ts'

/**
 * Decodes one block.
 * @param block its bytes
 * @param out where the block's values go, from `at` on
 */
export type Decode = (block: Buffer, out: Float32Array, at: number) => void

// Every product and sum below is rounded to single precision where ggml and gguf-py round it.
const { fround } = Math

/** ggml's classic blocks of 32 values, the lower nibbles first. Source: ggml-quants.c, dequantize_row_*; gguf-py 0.19 quants.py. */
export const q4_0: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  for (let i = 0; i < 16; i++) {
    out[at + i] = d * ((block[2 + i] & 15) - 8)
    out[at + 16 + i] = d * ((block[2 + i] >> 4) - 8)
  }
}

export const q4_1: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  const m = half(block.readUInt16LE(2))
  for (let i = 0; i < 16; i++) {
    out[at + i] = fround(d * (block[4 + i] & 15)) + m
    out[at + 16 + i] = fround(d * (block[4 + i] >> 4)) + m
  }
}

export const q5_0: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  const high = block.readUInt32LE(2)
  for (let i = 0; i < 16; i++) {
    out[at + i] = d * (((block[6 + i] & 15) | (((high >>> i) & 1) << 4)) - 16)
    out[at + 16 + i] = d * (((block[6 + i] >> 4) | (((high >>> (16 + i)) & 1) << 4)) - 16)
  }
}

export const q5_1: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  const m = half(block.readUInt16LE(2))
  const high = block.readUInt32LE(4)
  for (let i = 0; i < 16; i++) {
    out[at + i] = fround(d * ((block[8 + i] & 15) | (((high >>> i) & 1) << 4))) + m
    out[at + 16 + i] = fround(d * ((block[8 + i] >> 4) | (((high >>> (16 + i)) & 1) << 4))) + m
  }
}

export const q8_0: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  for (let i = 0; i < 32; i++) out[at + i] = d * block.readInt8(2 + i)
}

/** ggml's blocks of 256 values with scales of their own for each 16 or 32. Sources as above. */
export const q2_k: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(80))
  const dmin = half(block.readUInt16LE(82))
  for (let group = 0; group < 16; group++) {
    const scale = fround(d * (block[group] & 15))
    const min = fround(dmin * (block[group] >> 4))
    const from = 16 + (group >> 3) * 32 + (group & 1) * 16
    const shift = ((group >> 1) & 3) * 2
    for (let i = 0; i < 16; i++) out[at + group * 16 + i] = fround(scale * ((block[from + i] >> shift) & 3)) - min
  }
}

export const q3_k: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(108))
  for (let group = 0; group < 16; group++) {
    const low = (block[96 + (group & 7)] >> ((group >> 3) * 4)) & 15
    const high = (block[104 + (group & 3)] >> ((group >> 2) * 2)) & 3
    const scale = fround(d * ((low | (high << 4)) - 32))
    const part = (group & 1) * 16
    const from = 32 + (group >> 3) * 32 + part
    const shift = ((group >> 1) & 3) * 2
    const bit = group >> 1
    for (let i = 0; i < 16; i++) {
      const offset = (block[part + i] >> bit) & 1 ? 0 : 4
      out[at + group * 16 + i] = scale * (((block[from + i] >> shift) & 3) - offset)
    }
  }
}

export const q4_k: Decode = (block, out, at) => {
  for (let group = 0; group < 8; group++) {
    const { scale, min } = scaleAndMin(block, group)
    const from = 16 + (group >> 1) * 32
    const shift = (group & 1) * 4
    for (let i = 0; i < 32; i++) out[at + group * 32 + i] = fround(scale * ((block[from + i] >> shift) & 15)) - min
  }
}

export const q5_k: Decode = (block, out, at) => {
  for (let group = 0; group < 8; group++) {
    const { scale, min } = scaleAndMin(block, group)
    const from = 48 + (group >> 1) * 32
    const shift = (group & 1) * 4
    for (let i = 0; i < 32; i++) {
      const value = ((block[from + i] >> shift) & 15) | (((block[16 + i] >> group) & 1) << 4)
      out[at + group * 32 + i] = fround(scale * value) - min
    }
  }
}

export const q6_k: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(208))
  for (let group = 0; group < 16; group++) {
    const scale = fround(d * block.readInt8(192 + group))
    const sextet = group & 7
    const from = (group >> 3) * 64 + (sextet & 3) * 16
    const shift = (sextet >> 2) * 4
    const high = 128 + (group >> 3) * 32 + (group & 1) * 16
    const highShift = (sextet >> 1) * 2
    for (let i = 0; i < 16; i++) {
      const value = ((block[from + i] >> shift) & 15) | (((block[high + i] >> highShift) & 3) << 4)
      out[at + group * 16 + i] = scale * (value - 32)
    }
  }
}

export const q8_k: Decode = (block, out, at) => {
  const d = block.readFloatLE(0)
  for (let i = 0; i < 256; i++) out[at + i] = d * block.readInt8(4 + i)
}

const NON_LINEAR = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

export const iq4_nl: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  for (let i = 0; i < 16; i++) {
    out[at + i] = d * NON_LINEAR[block[2 + i] & 15]
    out[at + 16 + i] = d * NON_LINEAR[block[2 + i] >> 4]
  }
}

/** Eight runs of 32 such values, with 6-bit scales. */
export const iq4_xs: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(0))
  const high = block.readUInt16LE(2)
  for (let group = 0; group < 8; group++) {
    const low = (block[4 + (group >> 1)] >> ((group & 1) * 4)) & 15
    const scale = fround(d * ((low | (((high >> (group * 2)) & 3) << 4)) - 32))
    const [from, to] = [8 + group * 16, at + group * 32]
    for (let i = 0; i < 16; i++) {
      out[to + i] = scale * NON_LINEAR[block[from + i] & 15]
      out[to + 16 + i] = scale * NON_LINEAR[block[from + i] >> 4]
    }
  }
}

/** Runs of bytes, and how many ternary digits each holds, the highest first: a byte is the fraction that they are, times 256. */
const TERNARY: readonly [from: number, bytes: number, digits: number][] = [
  [0, 32, 5],
  [32, 16, 5],
  [48, 4, 4],
]

export const tq1_0: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(52))
  let next = at
  for (const [from, bytes, digits] of TERNARY) {
    for (let digit = 0, power = 1; digit < digits; digit++, power *= 3) {
      for (let i = 0; i < bytes; i++) out[next++] = d * (((((block[from + i] * power) & 255) * 3) >> 8) - 1)
    }
  }
}

export const tq2_0: Decode = (block, out, at) => {
  const d = half(block.readUInt16LE(64))
  for (let i = 0; i < 256; i++) {
    const byte = block[(i >> 7) * 32 + (i & 31)]
    out[at + i] = d * (((byte >> (((i >> 5) & 3) * 2)) & 3) - 1)
  }
}

/** Twice the values of E2M1. */
const E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
const scratch = new DataView(new ArrayBuffer(4))

/** OCP Microscaling FP4: half of an E8M0 scale times `E2M1`. */
export const mxfp4: Decode = (block, out, at) => {
  scratch.setUint32(0, block[0] < 2 ? 0x00200000 << block[0] : (block[0] - 1) << 23)
  const d = scratch.getFloat32(0)
  for (let i = 0; i < 16; i++) {
    out[at + i] = d * E2M1[block[1 + i] & 15]
    out[at + 16 + i] = d * E2M1[block[1 + i] >> 4]
  }
}

/** Q4_K and Q5_K: eight 6-bit scales and minima in 12 bytes after the two halves. */
function scaleAndMin(block: Buffer, group: number): { scale: number; min: number } {
  const d = half(block.readUInt16LE(0))
  const dmin = half(block.readUInt16LE(2))
  const i = group & 3
  const scale = block[4 + i]
  const min = block[8 + i]
  const both = block[12 + i]
  if (group < 4) return { scale: fround(d * (scale & 63)), min: fround(dmin * (min & 63)) }
  return {
    scale: fround(d * ((both & 15) | ((scale >> 2) & 48))),
    min: fround(dmin * ((both >> 4) | ((min >> 2) & 48))),
  }
}
