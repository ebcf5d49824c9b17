import { BudgetError } from '../errors.ts'
import { limits } from '../limits.ts'

const REMEDY = 'No program that saves models writes such a file: save its weights again, alone, as safetensors for one.'

/**
 * What reading one file may take, whatever its kind. All readers count here; who opens the file makes it, and what is read within the
 * file (a zip in a zip, HDF5 in a zip, an inflated copy) goes on counting with it. So the count does not depend on the readers' order,
 * nor on workers: each opening of a file, to describe it or to read a tensor, has its own.
 */
export class Budget {
  readonly path: string
  readonly #most: Readonly<Record<Kind, number>>
  readonly #spent: Record<Kind, number> = { steps: 0, names: 0, inflated: 0, read: 0 }

  /** @param size of the file as it is stored, in bytes */
  constructor(path: string, size: number) {
    const { stepsCount, stepsRatio, anyStepsCount, namesCharacters, readRatio, anyReadBytes } = limits.work
    this.path = path
    this.#most = {
      steps: Math.min(stepsCount, anyStepsCount + stepsRatio * size),
      names: namesCharacters,
      inflated: Math.max(limits.zip.zerosBytes, limits.zip.inflateRatio * size),
      read: anyReadBytes + readRatio * size,
    }
  }

  /**
   * Steps of an interpreter or a walk: opcodes, fields, values, modules; of a structure, one for each 32 bytes.
   * @throws BudgetError
   */
  step(count = 1): void {
    this.#spend('steps', count)
  }

  /**
   * Characters of a name that is kept: of a member, a link, a tensor.
   * @throws BudgetError
   */
  name(characters: number): void {
    this.#spend('names', characters)
  }

  /**
   * Bytes that came out of a decompressor.
   * @throws BudgetError
   */
  inflate(bytes: number): void {
    this.#spend('inflated', bytes)
  }

  /**
   * Bytes taken from the disk, again and again where they are.
   * @throws BudgetError
   */
  read(bytes: number): void {
    this.#spend('read', bytes)
  }

  #spend(kind: Kind, amount: number): void {
    this.#spent[kind] += amount
    if (this.#spent[kind] > this.#most[kind]) {
      throw new BudgetError(this.path, FOUND[kind](this.#most[kind]), REMEDY)
    }
  }
}

type Kind = 'steps' | 'names' | 'inflated' | 'read'

const FOUND: Readonly<Record<Kind, (most: number) => string>> = {
  steps: most => `takes more than ${most} steps to read: parts of it refer to each other, or are far too many`,
  names: most => `holds names of more than ${most} characters together`,
  inflated: most => `inflates to more than ${most} bytes`,
  read: most => `would have to be read over and over, more than ${most} bytes of it`,
}
