import { readdir } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { jsonProblem, parseJson } from '../bytes/json.ts'
import { readSmallFile, readStamped } from '../bytes/small-file.ts'
import { CheckpointError, MissingCheckpointError, quoted } from '../errors.ts'
import { limits } from '../limits.ts'
import { foreignFolder } from './foreign.ts'
import { refusePointer } from './pointer.ts'
import type { Stamp } from './types.ts'

/** What a shard index promises. */
export interface Expectation {
  /** @throws CheckpointError where a shard lacks a tensor that the index places there, or two shards hold the same. */
  check(parts: readonly { file: string; names: readonly string[] }[]): void
}

/** A name such as `model.safetensors.index.json`, or with a variant in it, `pytorch_model.bin.index.fp16.json`. */
export function isShardIndex(name: string): boolean {
  return /\.(safetensors|bin)\.index(\.[\w-]+)?\.json$/.test(name)
}

/** How many a name says that there are: `-00001-of-000163`, `_00001-of-00002`, `.1-of-61`. */
const OF = /(?:^|[-_.])(\d{1,6})-of-(\d{1,6})(?=[-_.]|$)/
/** The part of one rank: `model-rank-0-part-0`, `pytorch_model-TP-000`, `mp_rank_00`. */
const RANK = /(?:^|[-_.])(?:rank|part|[tpm]p(?:[-_]?rank)?)[-_]?(\d+)/gi
/** DeepSpeed's pipelines write each layer, and each rank's part of it, by itself. */
const STAGE = /^layer_\d+-model_\d+-model_states\.pt$/
/** Llama's own: one where the model is not split. */
const CONSOLIDATED = /^(consolidated)\.\d+\.(?:pth|pt|safetensors)$/
/** Keras numbers its shards from 0. */
const KERAS = /^(.*)_(\d{5})\.weights\.h5$/

/**
 * A shard by itself is not the model.
 * @throws CheckpointError where its name says that it is one of several, or an index beside it does
 */
export async function refuseShard(path: string): Promise<void> {
  const name = basename(path)
  if (/\.data-\d{5}-of-\d{5}$/.test(name)) {
    const { found, remedy } = foreignFolder([name])!
    throw new CheckpointError(path, found.replace('is a', 'is of a'), remedy)
  }
  const [, index, of] = OF.exec(name) ?? []
  const gguf = /\.gguf$/i.test(name)
  if (Number(of) > 1) throw piece(path, `shard ${Number(index)} of ${Number(of)}`, gguf)
  const names = await readdir(dirname(path)).catch((): string[] => [])
  const [, stem, number] = KERAS.exec(name) ?? []
  if (number === '00000' || (stem !== undefined && names.includes(`${stem}_00000.weights.h5`))) {
    throw new CheckpointError(
      path,
      `is shard ${Number(number)} of a Keras model, a piece of a model`,
      'Save the weights in one file: model.save_weights("model.weights.h5").',
    )
  }
  if (STAGE.test(name)) throw piece(path, 'one layer of a pipeline', gguf)
  if (of === undefined && isRank(name, names)) throw piece(path, "one rank's part", gguf)
  for (const other of names.filter(isShardIndex)) {
    const shards = await shardsOf(join(dirname(path), other))
    if (shards.size > 1 && shards.has(name)) throw piece(path, `a shard that ${other} lists`, gguf)
  }
}

/** Whether a name is that of a rank: of the first, or of one whose first lies beside it. A LoRA's rank is neither. */
function isRank(name: string, names: readonly string[]): boolean {
  const [, stem] = CONSOLIDATED.exec(name) ?? []
  if (stem !== undefined) return names.some(other => other !== name && CONSOLIDATED.exec(other)?.[1] === stem)
  // DeepSpeed's first rank has all of the weights below stage 3: what it holds tells.
  if (/^mp_rank_0+_model_states\.pt$/.test(name)) return false
  return [...name.matchAll(RANK)].some(({ 0: whole, 1: number, index }) => {
    const end = index + whole.length
    if (end < name.length && !'-_.'.includes(name[end])) return false
    const at = end - number.length
    const first = name.slice(0, at) + '0'.repeat(number.length) + name.slice(at + number.length)
    return Number(number) === 0 || names.includes(first)
  })
}

function piece(path: string, what: string, gguf: boolean): CheckpointError {
  return new CheckpointError(
    path,
    `is ${what}, a piece of a model`,
    gguf
      ? 'Join them: llama-gguf-split --merge FIRST-SHARD out.gguf'
      : 'Name the folder, or the index (….index.json) in it.',
  )
}

/** The files that an index names; none where it is none. */
export async function shardsOf(path: string): Promise<Set<string>> {
  try {
    return new Set(weightMap(path, await readSmallFile(path, limits.checkpoint.shardIndexBytes)).values())
  } catch {
    return new Set()
  }
}

/** The shards that an index names, and what it promises of them. */
export async function readShardIndex(
  folder: string,
  name: string,
  present: readonly string[],
): Promise<{ files: string[]; expected: Expectation; stamps: readonly Stamp[] }> {
  const path = join(folder, name)
  const { bytes, stamp } = await readStamped(path, limits.checkpoint.shardIndexBytes)
  refusePointer(path, bytes)
  const map = weightMap(path, bytes)
  const shards = [...new Set(map.values())].sort()
  for (const shard of shards) {
    if (shard.includes('/') || shard.includes('\\') || shard.includes('\0')) {
      throw new CheckpointError(path, `names the shard ${quoted(shard)}, which lies outside its folder`)
    }
    if (!present.includes(shard)) {
      const Absent = shards.some(other => present.includes(other)) ? CheckpointError : MissingCheckpointError
      throw new Absent(path, `the shard ${quoted(shard)} is missing`, 'Fetch all shards: was the download complete?')
    }
  }
  return { files: shards.map(shard => join(folder, shard)), expected: expectation(path, folder, map), stamps: [stamp] }
}
function weightMap(path: string, bytes: Buffer): Map<string, string> {
  let index: unknown
  try {
    index = parseJson(bytes, { depth: limits.json.nestingLevels, marks: limits.json.marksCount })
  } catch (cause) {
    throw new CheckpointError(path, jsonProblem(cause), '', { cause })
  }
  const map = (index as { weight_map?: unknown } | null)?.weight_map
  if (typeof map !== 'object' || map === null || !Object.values(map).every(shard => typeof shard === 'string')) {
    throw new CheckpointError(path, 'has no weight_map from tensors to shards')
  }
  const entries = Object.entries(map as Record<string, string>)
  if (entries.length === 0) throw new CheckpointError(path, 'has an empty weight_map')
  if (entries.length > limits.checkpoint.tensorsCount)
    throw new CheckpointError(path, `names ${entries.length} tensors, more than ${limits.checkpoint.tensorsCount}`)
  return new Map(entries)
}

function expectation(path: string, folder: string, map: ReadonlyMap<string, string>): Expectation {
  return {
    check(parts) {
      const found = new Map<string, string>()
      for (const { file, names } of parts) {
        for (const name of names) {
          const other = found.get(name)
          if (other) throw new CheckpointError(file, `holds ${JSON.stringify(name)}, which ${other} holds too`)
          found.set(name, file)
        }
      }
      for (const [name, shard] of map) {
        if (found.get(name) !== join(folder, shard)) {
          throw new CheckpointError(join(folder, shard), `lacks the tensor ${quoted(name)} that ${path} places there`)
        }
      }
    },
  }
}
