import { superblockOffset } from '../hdf5/superblock.ts'
import type { Reader } from '../reader.ts'
import { readHdf5 } from './contents.ts'

/** HDF5: weights and whole models of Keras 1 to 3 (`.h5`, `.hdf5`, `.weights.h5`), and datasets of numbers in any other file. */
export const hdf5: Reader = {
  format: 'hdf5',

  recognises({ head }) {
    return superblockOffset(head) !== undefined
  },

  read(file) {
    return readHdf5(file, { offset: 0, length: file.size })
  },
}
