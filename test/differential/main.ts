import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { markdownTable } from 'markdown-table'
import { RandomAccessFile } from '../../src/bytes/file.ts'
import { unpack } from '../../src/checkpoint/codecs.ts'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { contiguous, DTYPE_BITS, type DType, size, type Tensor } from '../../src/checkpoint/types.ts'
import { widen } from '../../src/checkpoint/widen.ts'
import { LayerError, UserError } from '../../src/errors.ts'

/** dtype, shape, SHA-256 of the elements; null where the framework can't give the tensor. */
type Described = readonly [dtype: string, shape: readonly number[], digest: string] | null
type Loaded = Readonly<Record<string, Described>> | null

interface Case {
  readonly case: number
  readonly file: string
  readonly loaded: readonly Loaded[]
}

/** The names that numpy and torch give to types. */
const NAMES: Partial<Record<DType, string>> = {
  ...{ F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16', C64: 'complex64', C128: 'complex128' },
  ...{ I64: 'int64', I32: 'int32', I16: 'int16', I8: 'int8', U64: 'uint64', U32: 'uint32', U16: 'uint16', U8: 'uint8' },
  BOOL: 'bool',
}
/** numpy has no name for bfloat16: it gives its two bytes. */
const SAME: Record<string, string> = { void16: 'bfloat16' }

/** A tensor's elements, row-major. */
async function elements({ dtype, shape, source }: Tensor): Promise<Buffer> {
  const width = DTYPE_BITS[dtype] / 8
  const count = size(shape)
  const { strides } = source
  const span = count === 0 ? 0 : shape.reduce((last, n, d) => last + (n - 1) * strides[d], 1)
  let stored: Buffer
  if (source.kind === 'file') {
    const file = await RandomAccessFile.open(source.path)
    stored = await file.read(source.offset, span * width).finally(() => file.close())
  } else {
    const pieces: Uint8Array[] = []
    for await (const piece of unpack(source)) pieces.push(Buffer.from(piece))
    stored = Buffer.concat(pieces)
  }
  if (strides.join() === contiguous(shape).join()) return stored.subarray(0, count * width)
  const out = Buffer.alloc(count * width)
  for (let i = 0; i < count; i++) {
    let rest = i
    let at = 0
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (rest % shape[d]) * strides[d]
      rest = Math.floor(rest / shape[d])
    }
    stored.copy(out, i * width, at * width, (at + 1) * width)
  }
  return out
}

/** What stands in a NaN beside its being one is lost where types are widened, and not in the same way everywhere: one stands for all. */
function withOneNaN(bytes: Uint8Array): Uint8Array {
  const words = new Uint32Array(Uint8Array.from(bytes).buffer)
  for (let i = 0; i < words.length; i++) if ((words[i] & 0x7fffffff) >>> 0 > 0x7f800000) words[i] = 0x7fc00000
  return new Uint8Array(words.buffer)
}

/** What the gate would judge: its tensors, and what it says that it left out; undefined where it refuses the file. */
async function read(file: string): Promise<{ tensors: Map<string, Described>; left: Set<string> } | undefined> {
  try {
    const { format, tensors, unread, ignored } = await openCheckpoint(file)
    const found = new Map<string, Described>()
    for (const tensor of tensors) {
      let bytes: Uint8Array = await elements(tensor)
      let type = NAMES[tensor.dtype] ?? tensor.dtype
      // gguf's own reader gives every type as F32.
      if (format === 'gguf' && (tensor.dtype === 'F16' || tensor.dtype === 'BF16')) {
        bytes = new Uint8Array(Float32Array.from(widen(tensor.dtype, bytes)).buffer)
        type = 'float32'
      }
      if (format === 'gguf' && type === 'float32') bytes = withOneNaN(bytes)
      found.set(tensor.name, [type, tensor.shape, createHash('sha256').update(bytes).digest('hex')])
    }
    const names = ignored.map(entry => entry.replace(/ \([^)]*\)$/, ''))
    return { tensors: found, left: new Set([...unread.map(({ name }) => name), ...names]) }
  } catch (error) {
    if (error instanceof UserError || error instanceof LayerError) return undefined
    throw error
  }
}

/** How the gate's tensors differ from what a framework loads; undefined where each is equal or refused. */
function difference(loaded: Loaded, found: Awaited<ReturnType<typeof read>>): string | undefined {
  if (!loaded || !found) return undefined
  for (const [name, expected] of Object.entries(loaded)) {
    if (!expected || found.left.has(name)) continue
    const own = found.tensors.get(name)
    if (!own) return `${JSON.stringify(name)} is not seen`
    const wanted = JSON.stringify([SAME[expected[0]] ?? expected[0], ...expected.slice(1)])
    if (JSON.stringify(own) !== wanted) return `${JSON.stringify(name)} is ${JSON.stringify(own)}, not ${wanted}`
  }
  for (const name of found.tensors.keys()) if (!(name in loaded)) return `${JSON.stringify(name)} is not loaded`
  return undefined
}

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.PYTHON ?? 'python3' },
    container: { type: 'string' },
    cases: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'string', default: join(tmpdir(), 'spectral-gate-differential') },
  },
})

interface Outcome {
  version: string
  cases: number
  equal: number
  refused: number
  frameworkRefused: number
  differences: string[]
}

async function compare(container: string): Promise<Outcome | string> {
  const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-'))
  const script = 'test/differential/cases.py'
  const child = spawn(values.python, [script, container, values.cases, values.seed, folder])
  let problem = ''
  child.stderr.on('data', text => {
    problem = (problem + text).slice(-2000)
  })
  const ended = new Promise<string>(resolve => {
    child.on('error', error => resolve(String(error)))
    child.on('exit', code => resolve(code === 0 ? '' : problem.trim().split('\n').at(-1)!))
  })
  const outcome: Outcome = { version: '', cases: 0, equal: 0, refused: 0, frameworkRefused: 0, differences: [] }
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      const one = JSON.parse(line.replaceAll('NaN', 'null')) as Case & { version?: string }
      if (one.version !== undefined) {
        outcome.version = one.version
        continue
      }
      outcome.cases++
      const found = await read(one.file)
      const differs = one.loaded.map(loaded => difference(loaded, found)).find(Boolean)
      if (differs) {
        mkdirSync(values.keep, { recursive: true })
        const kept = join(values.keep, `${container}-${values.seed}-${one.case}-${basename(one.file)}`)
        copyFileSync(one.file, kept)
        outcome.differences.push(`${kept}: ${differs}`)
      } else if (one.loaded.every(loaded => !loaded)) outcome.frameworkRefused++
      else if (!found) outcome.refused++
      else outcome.equal++
      child.stdin.write('\n')
    }
    const failed = await ended
    if (failed && outcome.version === '') return failed
    if (failed) outcome.differences.push(`cases.py ended: ${failed}`)
    return outcome
  } finally {
    child.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}

const ALL = ['torch', 'numpy', 'hdf5', 'onnx', 'gguf', 'safetensors']
const rows = [['container', 'version', 'cases', 'equal', 'refused', 'refused by the framework', 'different']]
for (const container of values.container ? [values.container] : ALL) {
  const outcome = await compare(container)
  if (typeof outcome === 'string') {
    console.error(`${container}: not compared: ${outcome}`)
    continue
  }
  const { version, cases, equal, refused, frameworkRefused, differences } = outcome
  for (const one of differences.slice(0, 8)) console.error(`${container}: ${one}`)
  if (differences.length > 0 || cases !== Number(values.cases)) process.exitCode = 1
  rows.push([container, version, ...[cases, equal, refused, frameworkRefused, differences.length].map(String)])
}
console.log(markdownTable(rows, { align: ['l', 'l', 'r', 'r', 'r', 'r', 'r'] }))
console.log(`\nseed ${values.seed}`)
