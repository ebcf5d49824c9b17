import { Zip } from '../../bytes/zip.ts'
import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { foreignZip } from '../foreign.ts'
import type { Contents, ReadOptions } from '../reader.ts'
import { describeContents } from './contents.ts'
import { type Unpickled, unpickle } from './pickle.ts'
import type { Source } from './source.ts'
import type { Extent } from './tensors.ts'
import { Persistent, type Value } from './values.ts'

const SAVE = "Save the weights alone: torch.save(model.state_dict(), 'model.pt')."

/**
 * PyTorch's zip container, `torch.save` since 1.6 and TorchScript: a zip of stored members, `<archive>/data.pkl` with the names
 * and shapes, `<archive>/data/<key>` with the bytes of each storage, `<archive>/byteorder`; of TorchScript also
 * `<archive>/constants.pkl` with `<archive>/constants/<key>`. Source: torch/serialization.py,
 * caffe2/serialize/inline_container.cc, torch/csrc/jit/serialization/export_module.cpp.
 */
export async function readArchive(source: Source, options: ReadOptions): Promise<Contents> {
  const zip = await Zip.open(source)
  checkCase(zip)
  const archive = findArchive(zip)
  await checkByteOrder(zip, archive)
  const data = await pickled(zip, archive, 'data')
  const constants = zip.members.has(`${archive}/constants.pkl`) ? await pickled(zip, archive, 'constants') : undefined
  return describeContents(source, constants ? scripted(data, constants) : data, storages(zip, archive), options)
}

/** PyTorch looks its members up without regard to case. */
function checkCase({ path, members }: Zip): void {
  const lower = new Set<string>()
  for (const name of members.keys()) {
    const key = name.replace(/[A-Z]/g, letter => letter.toLowerCase())
    if (lower.has(key)) throw new CheckpointError(path, `has two members named ${quoted(name)} but for the case`, SAVE)
    lower.add(key)
  }
}

/** A pickle of the archive; the keys of its storages become the names of members. */
async function pickled(zip: Zip, archive: string, name: 'data' | 'constants'): Promise<Unpickled> {
  const member = zip.members.get(`${archive}/${name}.pkl`)!
  const resolve = (id: Value) => {
    if (!Array.isArray(id) || typeof id[2] !== 'string') return new Persistent(id)
    return new Persistent(id.with(2, `${name}/${id[2]}`))
  }
  return unpickle(await zip.read(member, limits.pickle.bytes), zip.path, resolve, zip.budget)
}

/** A script's module with its constants, which hold the weights of a frozen one: `CONSTANTS.c0` and so on, as its code has them. */
function scripted(data: Unpickled, constants: Unpickled): Pick<Unpickled, 'value' | 'forbidden'> {
  const forbidden = data.forbidden ?? constants.forbidden
  const list = Array.isArray(constants.value) ? constants.value : []
  if (list.length === 0 && !constants.forbidden) return { value: data.value, forbidden }
  const named = new Map<Value, Value>(list.map((value, i) => [`c${i}`, value]))
  return {
    value: new Map<Value, Value>([
      ['', data.value],
      ['CONSTANTS', named],
    ]),
    forbidden,
  }
}

/** The archive's name within the zip. @throws CheckpointError that says what else the zip is. */
function findArchive({ path, members }: Zip): string {
  const names = [...members.keys()]
  const archives = names.flatMap(name => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? [])
  if (archives.length > 1) throw new CheckpointError(path, `holds ${archives.length} PyTorch archives`, SAVE)
  if (archives.length === 1) return archives[0]
  const foreign = foreignZip(names)
  if (foreign) throw new CheckpointError(path, foreign.found, foreign.remedy)
  const shown = names.slice(0, 5).map(name => JSON.stringify(name.slice(0, 100)))
  const found = names.length === 0 ? 'is an empty zip' : `is a zip without data.pkl: it holds ${shown.join(', ')}`
  throw new CheckpointError(path, names.length > 5 ? `${found}, …` : found, remedy(names))
}

function remedy(names: readonly string[]): string {
  const has = (pattern: RegExp) => names.some(name => pattern.test(name))
  if (has(/^[^/]+\/model\.json$/)) {
    return "It looks like a TorchScript archive of PyTorch 1.0 to 1.3: torch.jit.save(torch.jit.load('old.pt'), 'model.pt')."
  }
  if (has(/\.(pt|pth|bin|ckpt|safetensors)$/)) {
    return 'It looks like a zip of checkpoints: unzip it, and name the files.'
  }
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
    const member = zip.members.get(`${archive}/${key}`)
    if (!member) return undefined
    const extent = { offset: await zip.locate(member), bytes: member.size }
    found.set(key, extent)
    return extent
  }
}
