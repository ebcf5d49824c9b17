import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { jsonProblem, parseJson } from '../bytes/json.ts'
import { stayInWorkspace } from '../bytes/workspace.ts'
import { CheckpointError, quoted } from '../errors.ts'
import { limits } from '../limits.ts'
import { refusePointer } from './pointer.ts'

/** What a shard index promises. */
export interface Expectation {
  /** @throws CheckpointError where a shard lacks a tensor that the index places there, or two shards hold the same. */
  check(parts: readonly { file: string; names: readonly string[] }[]): void
}

/** A name such as `model.safetensors.index.json` or `pytorch_model.bin.index.json`. */
export function isShardIndex(name: string): boolean {
  return /\.(safetensors|bin)\.index\.json$/.test(name)
}

/**
 * A shard by itself is not the model.
 * @throws CheckpointError where the name says that it is one of several
 */
export function refuseShard(path: string): void {
  const [, index, of, kind] = /-(\d{5})-of-(\d{5})\.(safetensors|bin|pt|pth|gguf)$/.exec(path) ?? []
  if (!(Number(of) > 1)) return
  throw new CheckpointError(
    path,
    `is shard ${Number(index)} of ${Number(of)}, a piece of a model`,
    kind === 'gguf'
      ? 'Join them: llama-gguf-split --merge FIRST-SHARD out.gguf'
      : 'Name the folder, or the index (….index.json) in it.',
  )
}

/** The shards that an index names, and what it promises of them. */
export async function readShardIndex(
  folder: string,
  name: string,
  present: readonly string[],
): Promise<{ files: string[]; expected: Expectation }> {
  const path = join(folder, name)
  await stayInWorkspace(path)
  const { size } = await stat(path)
  if (size > limits.checkpoint.shardIndexBytes)
    throw new CheckpointError(path, `has ${size} bytes, more than ${limits.checkpoint.shardIndexBytes}`)
  const bytes = await readFile(path)
  refusePointer(path, bytes)
  const map = weightMap(path, bytes)
  const shards = [...new Set(map.values())].sort()
  for (const shard of shards) {
    if (shard.includes('/') || shard.includes('\\') || shard.includes('\0')) {
      throw new CheckpointError(path, `names the shard ${quoted(shard)}, which lies outside its folder`)
    }
    if (!present.includes(shard)) {
      throw new CheckpointError(
        path,
        `the shard ${quoted(shard)} is missing`,
        'Fetch all shards: was the download complete?',
      )
    }
  }
  return { files: shards.map(shard => join(folder, shard)), expected: expectation(path, folder, map) }
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
