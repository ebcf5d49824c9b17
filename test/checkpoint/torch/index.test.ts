import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { RandomAccessFile } from '../../../src/bytes/file.ts'
import type { Contents } from '../../../src/checkpoint/reader.ts'
import { torchZip } from '../../../src/checkpoint/torch/index.ts'
import { type FileSource, size, type Tensor } from '../../../src/checkpoint/types.ts'
import { CheckpointError } from '../../../src/errors.ts'

const FIXTURES = new URL('../../fixtures/torch/', import.meta.url)

interface Expected {
  stateDict: string
  ignored: string[]
  tensors: { name: string; dtype: string; shape: number[]; values: number[] | null }[]
}
const expected: Record<string, Expected> = JSON.parse(readFileSync(new URL('expected.json', FIXTURES), 'utf8'))

async function read(name: string, stateDict?: string): Promise<Contents> {
  const file = await RandomAccessFile.open(new URL(name, FIXTURES).pathname)
  try {
    return await torchZip.read(file, { stateDict })
  } finally {
    await file.close()
  }
}

async function refused(name: string, stateDict?: string): Promise<{ message: string; remedy: string }> {
  const error = await read(name, stateDict).then(
    () => undefined,
    error => error,
  )
  expect(error).toBeInstanceOf(CheckpointError)
  expect(error.message).toContain(name)
  return { message: error.message.replace(FIXTURES.pathname, ''), remedy: error.remedy }
}

/** The elements that a description points at, by a second implementation: no code shared with the engine's reader. */
function elements({ dtype, shape, source }: Tensor): number[] {
  const bytes = readFileSync(source.path)
  const at = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const width = { F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2 }[dtype as 'F64'] ?? 1
  return Array.from({ length: size(shape) }, (_, flat) => {
    let rest = flat
    let index = 0
    for (let d = shape.length - 1; d >= 0; d--) {
      index += (rest % shape[d]) * source.strides[d]
      rest = Math.floor(rest / shape[d])
    }
    return value(at, dtype, (source as FileSource).offset + index * width)
  })
}

function value(at: DataView, dtype: string, offset: number): number {
  switch (dtype) {
    case 'F64':
      return at.getFloat64(offset, true)
    case 'F32':
      return at.getFloat32(offset, true)
    case 'BF16':
      return small(at.getUint16(offset, true), 8, 7)
    case 'F16':
      return small(at.getUint16(offset, true), 5, 10)
    case 'F8_E4M3':
      return small(at.getUint8(offset), 4, 3)
    case 'F8_E5M2':
      return small(at.getUint8(offset), 5, 2)
    case 'I64':
      return Number(at.getBigInt64(offset, true))
    case 'U64':
      return Number(at.getBigUint64(offset, true))
    case 'I32':
      return at.getInt32(offset, true)
    case 'U32':
      return at.getUint32(offset, true)
    case 'I16':
      return at.getInt16(offset, true)
    case 'U16':
      return at.getUint16(offset, true)
    default:
      return at.getUint8(offset)
  }
}

/** A normal number or zero of a small floating-point type. */
function small(bits: number, exponentBits: number, mantissaBits: number): number {
  const mantissa = bits & ((1 << mantissaBits) - 1)
  const exponent = (bits >> mantissaBits) & ((1 << exponentBits) - 1)
  const sign = bits >> (mantissaBits + exponentBits) ? -1 : 1
  if (exponent === 0 && mantissa === 0) return 0
  const bias = (1 << (exponentBits - 1)) - 1
  return sign * (1 + mantissa / (1 << mantissaBits)) * Math.exp(Math.LN2 * (exponent - bias))
}

describe('files that torch.save wrote', () => {
  it.each(Object.keys(expected))('%s', async name => {
    const { tensors, stateDict, ignored } = await read(name)
    const wanted = expected[name]
    expect({ stateDict, ignored }).toEqual({ stateDict: wanted.stateDict, ignored: wanted.ignored })
    expect(tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(
      wanted.tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape })),
    )
    for (const [i, tensor] of tensors.entries()) {
      const { values } = wanted.tensors[i]
      if (!values) continue
      const found = elements(tensor)
      expect(found.length).toBe(values.length)
      for (const [j, x] of found.entries()) expect(x).toBeCloseTo(values[j], 12)
    }
  })
})

describe('choosing a state dict', () => {
  it('takes the one that was asked for, and lists the others', async () => {
    const { tensors, stateDict, ignored } = await read('training.pt', 'model_ema')
    expect(stateDict).toBe('model_ema')
    expect(tensors).toHaveLength(expected['training.pt'].tensors.length)
    expect(ignored).toContain('model_state_dict')
    expect(ignored).toContain('optimizer_state_dict')
  })

  it('follows a dotted path, the longest key first', async () => {
    expect((await read('twice.pt', 'state.model')).stateDict).toBe('state.model')
    const { tensors, ignored } = await read('dotted.pt', 'a.b')
    expect(elements(tensors[0])).toEqual([0, 0])
    expect(ignored).toEqual(['a'])
  })

  it('names the candidates where there is no such state dict', async () => {
    expect(await refused('training.pt', 'modle')).toEqual({
      message: 'training.pt: the state dict "modle" was asked for, but there is none',
      remedy: 'It has the state dicts "model_state_dict", "model_ema".',
    })
  })

  it.each([
    ['training.pt', 'epoch', 'it holds no tensors'],
    ['training.pt', 'optimizer_state_dict', 'it is the state of an optimizer'],
    ['training.pt', 'optimizer_state_dict.state', 'it is the state of an optimizer'],
  ])('refuses %s: %s', async (name, path, reason) => {
    expect((await refused(name, path)).message).toContain(reason)
  })

  it('refuses two tensors of one name', async () => {
    expect((await refused('dotted.pt')).message).toBe('dotted.pt: "a.b.w": two tensors have this name')
  })
})

describe('what is no readable state dict', () => {
  it.each([
    ['optimizer.pt', 'holds nothing but the state of an optimizer', 'torch.save(model.state_dict()'],
    ['no-tensors.pt', 'holds no weights, but the keys "epoch", "note"', 'torch.save(model.state_dict()'],
  ])('%s', async (name, found, remedy) => {
    const error = await refused(name)
    expect(error.message).toContain(found)
    expect(error.remedy).toContain(remedy)
  })
})

describe('a pickle that calls os.system', () => {
  it.each([
    ['shell.pt', 'shell.pt: its pickle names posix.system'],
    ['shell-beside.pt', 'shell-beside.pt: "optimizer.x.1": its pickle names posix.system'],
    ['shell-in-place.pt', 'shell-in-place.pt: "fc.weight": its pickle names posix.system'],
  ])('%s', async (name, found) => {
    const { message, remedy } = await refused(name)
    expect(message).toContain(found)
    expect(message).toContain('nothing was executed')
    expect(remedy).toContain('safetensors')
    expect(existsSync('/tmp/spectral-gate-was-here')).toBe(false)
  })
})
