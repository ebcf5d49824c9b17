import type { Contents, Reader, ReadOptions } from '../reader.ts'
import { readArchive } from './archive.ts'
import { isLegacy, readLegacy } from './legacy.ts'
import { type Source, wholeFile } from './source.ts'
import { isTar, readTar } from './tar.ts'

/** What `torch.save` writes since 1.6, and TorchScript archives: a zip. */
export const torchZip: Reader = {
  format: 'torch-zip',
  recognises: ({ head }) => isZip(head),
  read: (file, options) => readArchive(wholeFile(file), options),
}

/** What `torch.save` wrote before: a stream of pickles and storages, and a tar before 0.1.11. */
export const torchLegacy: Reader = {
  format: 'torch-legacy',
  recognises: ({ head }) => isLegacy(head) || isTar(head),
  async read(file, options) {
    const source = wholeFile(file)
    return isTar(await source.read(0, Math.min(512, source.size)))
      ? readTar(source, options)
      : readLegacy(source, options)
  },
}

/** A checkpoint of any of torch's own containers, within another file; undefined where it is none. */
export async function readTorch(source: Source, options: ReadOptions): Promise<Contents | undefined> {
  const head = await source.read(0, Math.min(512, source.size))
  if (isZip(head)) return readArchive(source, options)
  if (isLegacy(head)) return readLegacy(source, options)
  return isTar(head) ? readTar(source, options) : undefined
}

function isZip(head: Buffer): boolean {
  const magic = head.toString('latin1', 0, 4)
  return magic === 'PK\x03\x04' || magic === 'PK\x05\x06'
}
