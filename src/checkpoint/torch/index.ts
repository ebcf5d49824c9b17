import { Zip } from '../../bytes/zip.ts'
import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Reader } from '../reader.ts'
import type { Tensor } from '../types.ts'
import { refusal } from './globals.ts'
import { unpickle } from './pickle.ts'
import { findStateDict, pathTo } from './state-dict.ts'
import { describeTensor, type Extent } from './tensors.ts'

const SAVE = "Save the weights alone: torch.save(model.state_dict(), 'model.pt')."

/**
 * PyTorch's zip container, `torch.save` since 1.6: a zip of stored members, `<archive>/data.pkl` with the names and shapes,
 * `<archive>/data/<key>` with the bytes of each storage, `<archive>/byteorder`. Source: torch/serialization.py,
 * caffe2/serialize/inline_container.cc.
 */
export const torchZip: Reader = {
  format: 'torch-zip',

  recognises({ head }) {
    const magic = head.toString('latin1', 0, 4)
    return magic === 'PK\x03\x04' || magic === 'PK\x05\x06'
  },

  async read(file, options) {
    const zip = await Zip.open(file)
    const archive = findArchive(zip)
    await checkByteOrder(zip, archive)
    const pickle = await zip.read(zip.members.get(`${archive}/data.pkl`)!, limits.pickle)
    const { value, forbidden } = unpickle(pickle, file.path)
    if (forbidden) {
      const path = pathTo(value, forbidden)
      throw refusal(path ? `${file.path}: ${JSON.stringify(path.slice(0, 200))}` : file.path, forbidden)
    }
    const { tensors: found, stateDict, ignored } = findStateDict(file.path, value, options.stateDict)
    const locate = storages(zip, archive)
    const tensors: Tensor[] = []
    for (const [name, call] of found) tensors.push(await describeTensor(file, name, call, locate))
    return { tensors, stateDict, ignored }
  },
}

/** The archive's name within the zip. @throws CheckpointError that says what else the zip is. */
function findArchive({ path, members }: Zip): string {
  const names = [...members.keys()]
  const archives = names.flatMap(name => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? [])
  if (archives.length > 1) throw new CheckpointError(path, `holds ${archives.length} PyTorch archives`, SAVE)
  if (archives.length === 0) {
    const shown = names.slice(0, 5).map(name => JSON.stringify(name.slice(0, 100)))
    const found = names.length === 0 ? 'is an empty zip' : `is a zip without data.pkl: it holds ${shown.join(', ')}`
    throw new CheckpointError(path, names.length > 5 ? `${found}, …` : found, remedy(names))
  }
  if (members.has(`${archives[0]}/constants.pkl`)) {
    throw new CheckpointError(
      path,
      'is a TorchScript archive, which this version does not read yet',
      "Save its weights: torch.save(torch.jit.load('model.pt').state_dict(), 'weights.pt').",
    )
  }
  return archives[0]
}

function remedy(names: readonly string[]): string {
  const has = (pattern: RegExp) => names.some(name => pattern.test(name))
  if (has(/\.npy$/)) return 'It looks like NumPy .npz, which this version does not read yet.'
  if (has(/^policy\.pth$/)) return 'It looks like a Stable-Baselines3 model: unzip it, and name its policy.pth.'
  if (has(/\.weights\.h5$/)) return 'It looks like a .keras model, which this version does not read yet.'
  if (has(/\.(pt|pth|bin|ckpt|safetensors)$/))
    return 'It looks like a zip of checkpoints: unzip it, and name the files.'
  return 'PyTorch writes <name>/data.pkl into every checkpoint that torch.save makes.'
}

async function checkByteOrder(zip: Zip, archive: string): Promise<void> {
  const member = zip.members.get(`${archive}/byteorder`)
  if (!member) return
  const order = (await zip.read(member, 64)).toString('latin1').trim()
  if (order === 'little') return
  throw new CheckpointError(
    zip.path,
    `its byte order is ${JSON.stringify(order)}; only little-endian checkpoints are read`,
    'Load it and save it again on a little-endian machine (x86, ARM), or as safetensors.',
  )
}

function storages(zip: Zip, archive: string): (key: string) => Promise<Extent | undefined> {
  const found = new Map<string, Extent>()
  return async key => {
    const known = found.get(key)
    if (known) return known
    const member = zip.members.get(`${archive}/data/${key}`)
    if (!member) return undefined
    const extent = { offset: await zip.locate(member), bytes: member.size }
    found.set(key, extent)
    return extent
  }
}
