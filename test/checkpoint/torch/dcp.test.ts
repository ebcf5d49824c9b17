import { createHash } from 'node:crypto'
import { closeSync, cpSync, readFileSync, readSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openCheckpoint } from '../../../src/checkpoint/index.ts'
import { assembled, type Block, misfitOf } from '../../../src/checkpoint/torch/assembled.ts'
import { DTYPE_BITS, size } from '../../../src/checkpoint/types.ts'
import { explain } from '../../../src/errors.ts'
import { openTensor } from '../../../src/spectrum/spool.ts'
import { temporaryFolder } from '../../support/folder.ts'

const folder = 'test/fixtures/distributed/sharded'
const refusal = (path: string) => openCheckpoint(path).then(() => 'accepted', explain)

test('two ranks’ parts are one model, each tensor whole', async () => {
  const { format, tensors, ignored, stamps } = await openCheckpoint(folder)
  expect(format).toBe('torch-distributed')
  expect(stamps.map(({ path }) => path).sort()).toEqual(
    ['.metadata', '__0_0.distcp', '__1_0.distcp'].map(name => join(folder, name)),
  )
  expect(ignored).toEqual(['optim.state.rows.exp_avg', 'epoch'])
  const found: Record<string, { shape: number[]; sha256: string }> = {}
  for (const tensor of tensors) {
    const { fd, source } = await openTensor(tensor)
    const bytes = Buffer.alloc((size(tensor.shape) * DTYPE_BITS[tensor.dtype]) / 8)
    readSync(fd, bytes, 0, bytes.length, source.offset)
    closeSync(fd)
    found[tensor.name] = { shape: [...tensor.shape], sha256: createHash('sha256').update(bytes).digest('hex') }
  }
  expect(found).toEqual(JSON.parse(readFileSync('test/fixtures/distributed/expected.json', 'utf8')))
})

test('.metadata stands for its folder, a part does not', async () => {
  const [whole, named] = [await openCheckpoint(folder), await openCheckpoint(join(folder, '.metadata'))]
  expect(named.tensors).toEqual(whole.tensors)
  expect(await refusal(join(folder, '__0_0.distcp'))).toMatch(/is one part of a torch\.distributed.*\nName the folder/)
})

function damaged(change: (path: string) => void): string {
  const path = temporaryFolder()
  cpSync(folder, path, { recursive: true })
  change(path)
  return path
}

/** With other bytes of the same length in the metadata. */
const edited = (from: string, to: string) =>
  damaged(path => {
    const bytes = readFileSync(join(path, '.metadata'))
    const at = bytes.indexOf(from)
    if (at < 0 || from.length !== to.length) throw new Error(`no ${from}`)
    bytes.write(to, at, 'latin1')
    writeFileSync(join(path, '.metadata'), bytes)
  })

test.each<[string, () => string, RegExp]>([
  [
    'a rank’s file that is missing',
    () => damaged(path => rmSync(join(path, '__1_0.distcp'))),
    /__1_0\.distcp: is missing/,
  ],
  [
    'a rank’s file that is cut short',
    () => damaged(path => truncateSync(join(path, '__1_0.distcp'), 9000)),
    /which has 9000/,
  ],
  ['a file outside of the folder', () => edited('__0_0.distcp', '../../secret'), /outside of its folder/],
  ['a pickle that would run something', () => edited('torch.serialization', 'os.systemXXXXXXXXXX'), /os\.system|names/],
  ['no metadata', () => damaged(path => writeFileSync(join(path, '.metadata'), 'x')), /\.metadata/],
])('%s is refused', async (_, make, message) => {
  expect(await refusal(make())).toMatch(message)
})

const block = (start: number[], shape: number[]) => ({ start, shape })

test.each<[string, ReturnType<typeof block>[], RegExp | undefined]>([
  ['halves', [block([0, 0], [2, 6]), block([2, 0], [2, 6])], undefined],
  ['quarters', [block([0, 0], [2, 3]), block([0, 3], [2, 3]), block([2, 0], [2, 3]), block([2, 3], [2, 3])], undefined],
  ['a hole', [block([0, 0], [2, 6])], /parts of 12 elements for the 24/],
  ['an overlap and a hole', [block([0, 0], [2, 6]), block([1, 0], [2, 6])], /parts that overlap/],
  ['one twice, and a hole', [block([0, 0], [2, 6]), block([0, 0], [2, 6])], /parts that overlap/],
  [
    'rows of two widths',
    [block([0, 0], [2, 2]), block([0, 2], [2, 4]), block([2, 0], [2, 5]), block([2, 5], [2, 1])],
    undefined,
  ],
  ['a part outside', [block([0, 0], [2, 6]), block([3, 0], [2, 6])], /outside of its shape/],
])('%s of a tensor', (_, blocks, message) => {
  const found = misfitOf([4, 6], blocks)
  if (message) expect(found).toMatch(message)
  else expect(found).toBeUndefined()
})

test('many parts of a tensor are told apart in a time that grows with their number', () => {
  const count = 16_384
  const [row, grid, stairs] = [
    Array.from({ length: count }, (_, i) => block([0, i], [1, 1])),
    Array.from({ length: count }, (_, i) => block([i >> 7, i & 127], [1, 1])),
    // A row, a column, a row of the rest, and so on.
    Array.from({ length: count - 1 }, (_, i) => {
      const [at, side] = [i >> 1, count / 2 - (i >> 1)]
      return i % 2 === 0 ? block([at, at], [1, side]) : block([at + 1, at], [side - 1, 1])
    }),
  ]
  const start = performance.now()
  expect(misfitOf([1, count], row!)).toBeUndefined()
  expect(misfitOf([128, 128], grid!)).toBeUndefined()
  expect(misfitOf([count / 2, count / 2], stairs!)).toMatch(/lie in no order/)
  expect(performance.now() - start).toBeLessThan(5_000)
})

describe('blocks of every kind', () => {
  const cuts: [string, number[], number[][]][] = [
    ['a vector', [7], [[0, 3, 7]]],
    [
      'rows',
      [7, 3],
      [
        [0, 4, 7],
        [0, 3],
      ],
    ],
    [
      'columns',
      [4, 9],
      [
        [0, 4],
        [0, 5, 9],
      ],
    ],
    [
      'both',
      [5, 6],
      [
        [0, 2, 5],
        [0, 1, 6],
      ],
    ],
    [
      'a kernel along its second dimension',
      [3, 4, 2, 3],
      [
        [0, 3],
        [0, 1, 4],
        [0, 2],
        [0, 3],
      ],
    ],
    [
      'a kernel along its first and last',
      [3, 4, 2, 3],
      [
        [0, 2, 3],
        [0, 4],
        [0, 2],
        [0, 2, 3],
      ],
    ],
  ]
  test.each(cuts)('%s', async (_, shape, at) => {
    const whole = Float32Array.from({ length: size(shape) }, (_, i) => i)
    const path = join(temporaryFolder(), 'blocks')
    const blocks: Block[] = []
    const bytes: Buffer[] = []
    let offset = 0
    const cut = (start: number[], own: number[]) => {
      if (start.length < shape.length) {
        const edges = at[start.length]!
        for (let i = 1; i < edges.length; i++) cut([...start, edges[i - 1]!], [...own, edges[i]! - edges[i - 1]!])
        return
      }
      const values = Float32Array.from({ length: size(own) }, (_, i) => {
        let rest = i
        let at = 0
        let stride = 1
        for (let d = shape.length - 1; d >= 0; d--) {
          at += (start[d]! + (rest % own[d]!)) * stride
          rest = Math.floor(rest / own[d]!)
          stride *= shape[d]!
        }
        return whole[at]!
      })
      blocks.push({ path, offset, start, shape: own })
      bytes.push(Buffer.from(values.buffer))
      offset += values.byteLength
    }
    cut([], [])
    writeFileSync(path, Buffer.concat(bytes))
    const pieces: Uint8Array[] = []
    for await (const piece of assembled({ shape, width: 4, blocks })) pieces.push(piece)
    expect(Buffer.concat(pieces)).toEqual(Buffer.from(whole.buffer))
  })
})

test('a type that its parts have not is not read', async () => {
  const path = damaged(folder => {
    const metadata = readFileSync(join(folder, '.metadata'), 'latin1')
    writeFileSync(join(folder, '.metadata'), metadata.replaceAll('float32', 'float16'), 'latin1')
  })
  const [{ unread, tensors }, whole] = [await openCheckpoint(path), await openCheckpoint(folder)]
  expect(tensors.filter(({ dtype }) => dtype === 'F32')).toEqual([])
  expect(unread.map(({ reason }) => reason)).toContain('is loaded as F16, and its parts are F32')
  expect(unread.length).toBe(whole.unread.length + whole.tensors.filter(({ dtype }) => dtype === 'F32').length)
})

test('a module under a name of training is one of the model, and an array that is no tensor is not read', async () => {
  const { tensors, unread, ignored } = await openCheckpoint('test/fixtures/distributed/objects')
  expect(tensors.map(({ name }) => name)).toEqual([
    'model.scheduler.weight',
    'model.optimizer.weight',
    'optimizer.weight',
  ])
  const reason = 'is kept within an object, not as a tensor: consolidate it'
  expect(unread).toEqual([{ name: 'model.array', dtype: 'F32', shape: [16, 20], reason }])
  expect(ignored).toEqual([
    ...['model.array', 'model.text', 'optimizer.state.weight.exp_avg', 'optimizer.param_groups.0.lr'],
    ...['lr_scheduler.table', 'lr_scheduler.array'],
  ])
})
