import { CheckpointError } from '../../errors.ts'
import type { Reader } from '../reader.ts'

export const torchZip: Reader = {
  format: 'torch-zip',
  recognises: ({ head }) => head.toString('latin1', 0, 4) === 'PK\x03\x04',
  async read(file) {
    throw new CheckpointError(file.path, 'not yet')
  },
}
