import type { RandomAccessFile } from '../../bytes/file.ts'
import { firstMember, memberRange } from '../../bytes/member.ts'
import { Zip, type ZipMember } from '../../bytes/zip.ts'
import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { openEmbedded } from '../hdf5/embedded.ts'
import type { Contents, Reader, ReadOptions } from '../reader.ts'
import { readTorch } from '../torch/index.ts'
import { packed, part } from '../torch/source.ts'

const POLICY = 'policy.pth'
/** Members by which a model of any algorithm may begin; what torch writes begins with a folder. */
const MEMBERS = /^(data|[\w.]+\.pth|_stable_baselines3_version|system_info\.txt)$/

/**
 * A model that Stable-Baselines3 saved: a zip of `data` (JSON), `policy.pth`, the state dict of the policy as torch.save wrote
 * it, one `.pth` for each optimizer, and notes. Stored, its tensors are read at their offsets in the outer file; packed again
 * with compression, the policy is inflated in bounded memory, once to describe it and once for each tensor.
 * Source: stable_baselines3/common/save_util.py.
 */
export const sb3: Reader = {
  format: 'sb3-zip',

  recognises({ head }) {
    return MEMBERS.test(firstMember(head) ?? '')
  },

  async read(file, options) {
    const zip = await Zip.open(file)
    const policy = zip.members.get(POLICY)
    if (!policy) throw withoutPolicy(zip)
    const contents = await readPolicy(file, policy, options)
    const others = [...zip.members.keys()].filter(name => name !== POLICY && !name.endsWith('/'))
    const ignored = [...contents.ignored, ...others.map(name => name.slice(0, 200))]
    return { ...contents, ignored: ignored.slice(0, limits.checkpoint.ignoredEntries) }
  },
}

async function readPolicy(file: RandomAccessFile, policy: ZipMember, options: ReadOptions): Promise<Contents> {
  const where = `${file.path}: "${POLICY}"`
  const range = await memberRange(file, policy)
  if (!range.inflated) return known(where, await readTorch(part(file, where, range.offset, range.length), options))
  if (policy.size > limits.zip.memberBytes) {
    throw new CheckpointError(
      where,
      `is compressed and has ${policy.size} bytes, more than ${limits.zip.memberBytes}`,
      'Pack the zip again without compression (zip -0), as Stable-Baselines3 writes it.',
    )
  }
  const inflated = await openEmbedded(file, range)
  try {
    const source = { path: where, size: inflated.size, budget: file.budget, read: inflated.read.bind(inflated) }
    return known(where, await readTorch(packed(source, file.path, range), options))
  } finally {
    await inflated.close()
  }
}

function known(where: string, contents: Contents | undefined): Contents {
  if (contents) return contents
  throw new CheckpointError(where, 'is no checkpoint that torch.save wrote', 'Save the model again: model.save(path).')
}

function withoutPolicy({ path, members }: Zip): CheckpointError {
  const names = [...members.keys()]
  if (names.includes('parameters')) {
    return new CheckpointError(
      path,
      'is a model of Stable Baselines 2 (TensorFlow)',
      'Unzip it, rename its member `parameters` to parameters.npz, and name that.',
    )
  }
  const shown = names.slice(0, 5).map(name => JSON.stringify(name.slice(0, 100)))
  return new CheckpointError(
    path,
    `is a zip without ${POLICY}: it holds ${shown.join(', ')}${names.length > 5 ? ', …' : ''}`,
    'Of a Stable-Baselines3 model, name the zip that model.save wrote; of a zip of checkpoints, unzip it and name the files.',
  )
}
