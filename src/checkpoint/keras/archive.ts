import { firstMember, memberRange } from '../../bytes/member.ts'
import { Zip } from '../../bytes/zip.ts'
import { CheckpointError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { Reader } from '../reader.ts'
import { field, parse } from './config.ts'
import { readHdf5 } from './contents.ts'
import { settingsOf } from './settings.ts'

const CONFIG = 'config.json'
const WEIGHTS = 'model.weights.h5'
const METADATA = 'metadata.json'
const MEMBERS = new Set([METADATA, CONFIG, WEIGHTS])

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
    const [config, metadata] = [await jsonOf(zip, CONFIG), await jsonOf(zip, METADATA)]
    const version = field(metadata, 'keras_version')
    const settings = settingsOf(config, typeof version === 'string' ? version : undefined)
    const contents = await readHdf5(file, await memberRange(file, weights), { config })
    const others = [...zip.members.keys()].filter(name => !MEMBERS.has(name) && !name.endsWith('/'))
    const ignored = [
      ...contents.ignored,
      ...others.map(name => `${name.slice(0, limits.checkpoint.nameCharacters)} (not weights)`),
    ]
    return { ...contents, settings, ignored: ignored.slice(0, limits.checkpoint.ignoredEntries) }
  },
}

/** A model with a larger config is read without it. */
async function jsonOf(zip: Zip, name: string): Promise<unknown> {
  const member = zip.members.get(name)
  if (!member || member.size > limits.keras.configBytes) return undefined
  return parse((await zip.read(member, limits.keras.configBytes)).toString('utf8'))
}
