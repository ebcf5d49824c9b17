import { firstMember, memberRange } from '../../bytes/member.ts'
import { Zip } from '../../bytes/zip.ts'
import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Reader } from '../reader.ts'
import { readHdf5 } from './contents.ts'

const CONFIG = 'config.json'
const WEIGHTS = 'model.weights.h5'
const MEMBERS = new Set(['metadata.json', CONFIG, WEIGHTS])

/** Keras 3's `.keras`: a zip of the model's JSON and its weights in HDF5, stored as Keras does it or deflated. */
export const keras: Reader = {
  format: 'keras',

  recognises({ head }) {
    return MEMBERS.has(firstMember(head) ?? '')
  },

  async read(file) {
    const zip = await Zip.open(file)
    const weights = zip.members.get(WEIGHTS)
    if (!weights) {
      throw new CheckpointError(
        file.path,
        `is a Keras archive without ${WEIGHTS}`,
        'Save the model again: model.save("model.keras").',
      )
    }
    const config = zip.members.get(CONFIG)
    // It only serves names and their order: a model with a larger one is read without it.
    const useful = config && config.size <= limits.keras.configBytes ? config : undefined
    const json = useful && (await zip.read(useful, limits.keras.configBytes)).toString('utf8')
    const contents = await readHdf5(file, await memberRange(file, weights), { config: json })
    const others = [...zip.members.keys()].filter(name => !MEMBERS.has(name) && !name.endsWith('/'))
    const ignored = [
      ...contents.ignored,
      ...others.map(name => `${name.slice(0, limits.checkpoint.nameCharacters)} (not weights)`),
    ]
    return { ...contents, ignored: ignored.slice(0, limits.checkpoint.ignoredEntries) }
  },
}
