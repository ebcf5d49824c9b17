import { createHash } from 'node:crypto'
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync, inflateRawSync } from 'node:zlib'
import { openCheckpoint } from '../../src/checkpoint/index.ts'
import { METADATA } from '../../src/checkpoint/torch/dcp.ts'
import { resolveSettings } from '../../src/config/settings.ts'
import { LayerError, UserError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { gate } from '../../src/pipeline/gate.ts'
import { renderCsv } from '../../src/render/csv.ts'
import { renderMarkdown } from '../../src/render/markdown.ts'
import { renderText } from '../../src/render/text.ts'
import { serialiseReport } from '../../src/report/io.ts'
import type { Engine } from '../../src/spectrum/engine.ts'
import { Evaluator } from '../../src/spectrum/evaluate.ts'
import { footprint, openRecipe } from '../../src/spectrum/source.ts'
import { TensorStream } from '../../src/spectrum/stream.ts'
import { weightStatistics } from '../../src/spectrum/weights.ts'
import { type Entry, makeZip } from '../checkpoint/torch/build.ts'

/** What a run over one container's seeds found. */
export interface Outcome {
  readonly container: string
  readonly seeds: number
  readonly inputs: number
  /** Inputs that were still read, and those that were refused with a typed error. */
  readonly accepted: number
  readonly refused: number
  /** Milliseconds of processor time of the slowest input. */
  readonly slowest: number
  /** Inputs that ended otherwise: the error, and where the input was kept. */
  readonly failures: readonly string[]
}

/** Numbers in [0, n): the same for the same seed. */
export function generator(seed: number): (n: number) => number {
  let s = seed >>> 0
  return n => {
    s = (s + 0x6d2b79f5) >>> 0
    let t = Math.imul(s ^ (s >>> 15), 1 | s)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % n
  }
}

/** Seeds by the format that they are read as: every file below the folders that opens. */
export async function collectSeeds(folders: readonly string[]): Promise<Map<string, Buffer[]>> {
  const seeds = new Map<string, Buffer[]>()
  for (const path of folders.flatMap(filesBelow)) {
    if (statSync(path).size > 200_000) continue
    const format = await openCheckpoint(path).then(
      ({ format }) => format,
      () => undefined,
    )
    if (format) seeds.set(format, [...(seeds.get(format) ?? []), readFileSync(path)])
  }
  return seeds
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    const path = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(path) : entry.isFile() ? [path] : []
  })
}

/** Its seeds are the metadata; the parts lie beside them. */
const DISTRIBUTED = 'torch-distributed'
const PARTS = 'test/fixtures/distributed/sharded'

const INTERESTING = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff]

/** A few changes to a copy: bits, bytes, integers of every width, blocks copied, cut out or filled, the end cut off. */
export function mutate(seed: Uint8Array, next: (n: number) => number): Buffer {
  let bytes = Buffer.from(seed)
  for (let changes = 1 + next(6); changes > 0 && bytes.length > 0; changes--) {
    // Headers are where the structure is: half of the changes go to the first and the last kilobyte.
    const near = next(4)
    const span = Math.min(1024, bytes.length)
    const at = near === 0 ? next(span) : near === 1 ? bytes.length - 1 - next(span) : next(bytes.length)
    const length = Math.min(bytes.length - at, 1 + next(64))
    switch (next(9)) {
      case 0:
        bytes[at] ^= 1 << next(8)
        break
      case 1:
      case 2:
        bytes[at] = next(256)
        break
      case 3:
        for (let i = 0, value = INTERESTING[next(INTERESTING.length)]; i < Math.min(length, 8); i++, value >>>= 8)
          bytes[at + i] = value
        break
      case 4:
        bytes[at] += next(3) - 1
        break
      case 5:
        bytes.copy(bytes, at, next(bytes.length), next(bytes.length) + length)
        break
      case 6:
        bytes.fill(next(2) * 255, at, at + length)
        break
      case 7:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
        break
      case 8:
        bytes =
          next(4) === 0 ? bytes.subarray(0, at) : Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
        break
    }
  }
  return bytes
}

/** Seeds taken apart, so that a change can go to what is inside and the outside still holds. */
export interface Seed {
  readonly bytes: Buffer
  /** Members of a zip, inflated; the one member of a gzip. */
  readonly members: readonly Entry[]
  readonly outside: 'zip' | 'gzip' | 'safetensors' | ''
}

/** @param bytes a file that can be read */
export function takeApart(bytes: Buffer): Seed {
  if (bytes.readUInt32LE(0) === 0x04034b50) return { bytes, members: zipMembers(bytes), outside: 'zip' }
  if (bytes.readUInt16BE(0) === 0x1f8b)
    return { bytes, members: [{ name: '', data: gunzipSync(bytes) }], outside: 'gzip' }
  const header = Number(bytes.readBigUInt64LE(0))
  if (header < bytes.length && bytes[8] === 0x7b) {
    return { bytes, members: [{ name: '', data: bytes.subarray(8, 8 + header) }], outside: 'safetensors' }
  }
  return { bytes, members: [], outside: '' }
}

/** By the central directory; what we wrote or a framework did, so that nothing need be checked. */
function zipMembers(bytes: Buffer): Entry[] {
  const members: Entry[] = []
  let at = bytes.readUInt32LE(bytes.lastIndexOf('PK\x05\x06') + 16)
  while (bytes.readUInt32LE(at) === 0x02014b50) {
    const [name, extra, comment] = [28, 30, 32].map(field => bytes.readUInt16LE(at + field))
    const local = bytes.readUInt32LE(at + 42)
    const data = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
    const stored = bytes.subarray(data, data + bytes.readUInt32LE(at + 20))
    const method = bytes.readUInt16LE(at + 10) as 0 | 8
    members.push({
      name: bytes.toString('utf8', at + 46, at + 46 + name),
      data: method === 8 ? inflateRawSync(stored) : stored,
      method,
    })
    at += 46 + name + extra + comment
  }
  return members
}

/** A change of the bytes themselves, or of what is inside them. */
export function mutateSeed({ bytes, members, outside }: Seed, next: (n: number) => number): Buffer {
  if (members.length === 0 || next(3) === 0) return mutate(bytes, next)
  const chosen = next(members.length)
  const inside = members.map((member, i) => (i === chosen ? { ...member, data: mutate(member.data, next) } : member))
  if (outside === 'gzip') return gzipSync(inside[0].data, { level: 1 })
  if (outside === 'zip') return makeZip(inside)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(inside[0].data.length))
  return Buffer.concat([length, inside[0].data, bytes.subarray(8 + members[0].data.length)])
}

/**
 * Mutates seeds and does with each what the command does, up to its outputs. Whatever is not a typed error, or takes more than two
 * seconds of processor time, is a failure.
 * @param folder for the input at hand, and for those that failed
 */
export async function fuzz(
  container: string,
  seeds: readonly Buffer[],
  { inputs, seed, folder }: { inputs: number; seed: number; folder: string },
): Promise<Outcome> {
  const next = generator(seed)
  const path = join(folder, container === DISTRIBUTED ? METADATA : `${container}.input`)
  if (container === DISTRIBUTED) {
    for (const name of readdirSync(PARTS).filter(name => name.endsWith('.distcp')))
      copyFileSync(join(PARTS, name), join(folder, name))
  }
  const apart = seeds.map(takeApart)
  const failures: string[] = []
  let accepted = 0
  let slowest = 0
  let peak = peakMegabytes()
  for (let i = 0; i < inputs; i++) {
    const input = mutateSeed(apart[next(apart.length)], next)
    writeFileSync(path, input)
    const start = process.cpuUsage()
    const problem = await readAll(path).then(
      () => {
        accepted++
      },
      (error: unknown) =>
        error instanceof UserError || error instanceof LayerError
          ? undefined
          : String((error as Error)?.stack ?? error),
    )
    const { user, system } = process.cpuUsage(start)
    const milliseconds = (user + system) / 1000
    slowest = Math.max(slowest, milliseconds)
    const failure = problem ?? (milliseconds > 2000 ? `took ${milliseconds.toFixed(0)} ms` : undefined)
    const before = peak
    peak = peakMegabytes()
    // No failure by itself, for memory is only sometimes given back: what to look at where the process takes too much.
    if (peak - before > HEAVY && i > 0) writeFileSync(join(folder, `${container}-${seed}-${i}-heavy`), input)
    if (failure) {
      const kept = join(folder, `${container}-${seed}-${i}`)
      writeFileSync(kept, input)
      failures.push(`${kept}: ${failure}`)
    }
  }
  return {
    container,
    seeds: seeds.length,
    inputs,
    accepted,
    refused: inputs - accepted - failures.length,
    slowest,
    failures,
  }
}

/** Megabytes that one input adds to what its process has taken at the most, to be kept. */
const HEAVY = 24

function peakMegabytes(): number {
  return process.resourceUsage().maxRSS / 1024
}

const settings = resolveSettings({ 'min-evals': '0' })

/** Reads all that an engine would, and makes up the eigenvalues: solving for them takes nothing from the input but finite numbers. */
const engine: Engine = {
  async scan(tensor) {
    const open = await TensorStream.open(tensor)
    const hash = createHash('sha256')
    try {
      for (const bytes of open.all()) hash.update(bytes)
      return { digest: hash.digest('hex') }
    } finally {
      await open.close()
    }
  },
  async spectralNorm(recipe) {
    const { matrices } = await this.spectrum(recipe)
    return { largest: Math.max(...matrices.map(values => values[values.length - 1])) }
  },
  async weights(values) {
    const evaluator = await Evaluator.open(values)
    try {
      return weightStatistics(evaluator, values)
    } finally {
      await evaluator.close()
    }
  },
  async spectrum(recipe) {
    const { window } = footprint(recipe, ROWS)
    const open = await openRecipe(recipe)
    try {
      return {
        matrices: open.matrices.map(matrix => {
          for (const _ of matrix.chunks(new Uint8Array(window), ROWS));
          return Float64Array.from({ length: matrix.n + matrix.zeros }, (_, i) => i)
        }),
      }
    } finally {
      await open.close()
    }
  },
  async call() {
    throw new Error('no analysis is asked for that needs a thread')
  },
  async close() {},
}
/** Of a chunk. */
const ROWS = 8

/** All that the command does with a checkpoint: headers, every tensor, every matrix, the verdict, and the outputs. */
async function readAll(path: string): Promise<void> {
  const context = { engine, options: settings.options, known: new Map() }
  const report = await gate({ sources: [{ path }], policy: settings.policy, figures: [] }, context)
  serialiseReport(report)
  renderMarkdown(report, { limit: limits.report.commentCharacters })
  renderCsv(report)
  renderText(report, { width: 100 })
}
