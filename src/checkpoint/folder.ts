import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, MissingCheckpointError } from '../errors.ts'
import { limits } from '../limits.ts'
import { refusePointer } from './pointer.ts'

/** What a shard index promises. */
export interface Expectation {
  /** @throws CheckpointError where a shard lacks a tensor that the index places there, or holds one that the index does not know. */
  check(parts: readonly { file: string; names: readonly string[] }[]): void
}

/**
 * The checkpoint files of a Hugging Face folder: an index with its shards, or a single file under the conventional names.
 * safetensors go before PyTorch's own files of the same weights.
 */
export async function findInFolder(path: string): Promise<{ files: string[]; expected?: Expectation }> {
  const names = (await readdir(path)).sort()
  const indices = names.filter(name => name.endsWith('.safetensors.index.json'))
  const index = indices.find(name => name === 'model.safetensors.index.json') ?? indices[0]
  if (names.includes('model.safetensors')) return { files: [join(path, 'model.safetensors')] }
  if (index) {
    if (indices.length > 1 && index !== 'model.safetensors.index.json') {
      throw new CheckpointError(
        path,
        `has ${indices.length} shard indices: ${indices.join(', ')}`,
        'Name one model by its own folder.',
      )
    }
    return readIndex(path, index, names)
  }
  const singles = names.filter(name => name.endsWith('.safetensors') || name === 'pytorch_model.bin')
  const weights = singles.filter(name => name.endsWith('.safetensors'))
  const candidates = weights.length ? weights : singles
  if (candidates.length === 1) return { files: [join(path, candidates[0])] }
  if (candidates.length > 1) {
    throw new CheckpointError(
      path,
      `has ${candidates.length} safetensors files and no index: ${candidates.slice(0, 5).join(', ')}${candidates.length > 5 ? ', …' : ''}`,
      'Shards need their model.safetensors.index.json; separate models are named file by file.',
    )
  }
  const pointer = names.find(name => name.endsWith('.dvc'))
  if (pointer) {
    throw new MissingCheckpointError(
      path,
      `has no weights in it, only the DVC pointer ${pointer}`,
      'Run `dvc pull` before this step.',
    )
  }
  throw new CheckpointError(
    path,
    'has no checkpoint in it',
    'Looked for model.safetensors, *.safetensors.index.json with its shards, a single *.safetensors, or pytorch_model.bin. Name the file itself if it is called otherwise.',
  )
}

async function readIndex(
  folder: string,
  name: string,
  present: readonly string[],
): Promise<{ files: string[]; expected: Expectation }> {
  const path = join(folder, name)
  const { size } = await stat(path)
  if (size > limits.index) throw new CheckpointError(path, `has ${size} bytes, more than ${limits.index}`)
  const bytes = await readFile(path)
  refusePointer(path, bytes)
  const map = weightMap(path, bytes.toString('utf8'))
  const shards = [...new Set(map.values())].sort()
  for (const shard of shards) {
    if (shard.includes('/') || shard.includes('\\') || shard.includes('\0')) {
      throw new CheckpointError(
        path,
        `names the shard ${JSON.stringify(shard.slice(0, 200))}, which lies outside its folder`,
      )
    }
    if (!present.includes(shard)) {
      throw new CheckpointError(
        path,
        `the shard ${JSON.stringify(shard.slice(0, 200))} is missing`,
        'Fetch all shards: was the download complete?',
      )
    }
  }
  return { files: shards.map(shard => join(folder, shard)), expected: expectation(path, folder, map) }
}

function weightMap(path: string, text: string): Map<string, string> {
  let index: unknown
  try {
    index = JSON.parse(text)
  } catch (cause) {
    throw new CheckpointError(path, 'is not valid JSON', '', { cause })
  }
  const map = (index as { weight_map?: unknown } | null)?.weight_map
  if (typeof map !== 'object' || map === null || !Object.values(map).every(shard => typeof shard === 'string')) {
    throw new CheckpointError(path, 'has no weight_map from tensors to shards')
  }
  const entries = Object.entries(map as Record<string, string>)
  if (entries.length === 0) throw new CheckpointError(path, 'has an empty weight_map')
  if (entries.length > limits.tensors)
    throw new CheckpointError(path, `names ${entries.length} tensors, more than ${limits.tensors}`)
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
          throw new CheckpointError(
            join(folder, shard),
            `lacks the tensor ${JSON.stringify(name.slice(0, 200))} that ${path} places there`,
          )
        }
      }
    },
  }
}
