import { closeSync } from 'node:fs'
import { temporaryDescriptor, temporaryRoom } from '../bytes/temporary.ts'
import type { Tensor } from '../checkpoint/types.ts'
import { limits } from '../limits.ts'
import { tensorsOf, type Values, withTensors } from '../recipe/values.ts'
import { asUnpacked, unpackedBytes } from './spool.ts'

interface Kept {
  /** As it lies in its file. */
  readonly tensor: Tensor
  readonly fd: number
  readonly bytes: number
  /** How many read it at the moment. */
  users: number
}

/** What is inflated in less than a millisecond is not kept. */
const WORTH_A_FILE = 65_536

/**
 * Packed tensors that were unpacked before: each in a file without a name, which every thread reads by its descriptor. What was kept
 * first makes room for what comes.
 */
export class UnpackedTensors {
  readonly #kept = new Map<Tensor, Kept>()
  #room: number | undefined
  /** Of those that are being unpacked, too. */
  #taken = 0
  #files = 0

  /**
   * Has a tensor unpacked into a file that is kept, where there is room for it.
   * @param unpack into the file of this descriptor; where there is none, as it likes
   */
  async unpacking<T>(tensor: Tensor, unpack: (into: number | undefined) => Promise<T>): Promise<T> {
    const bytes = unpackedBytes(tensor)
    if (bytes < WORTH_A_FILE || this.#kept.has(tensor) || !this.#makeRoom(bytes)) return unpack(undefined)
    const fd = temporaryDescriptor()
    this.#taken += bytes
    this.#files++
    try {
      const result = await unpack(fd)
      this.#kept.set(tensor, { tensor: asUnpacked(tensor, fd), fd, bytes, users: 0 })
      return result
    } catch (error) {
      this.#close(fd, bytes)
      throw error
    }
  }

  /** Values with the tensors as they lie unpacked, which they do until `use` is done. */
  async using<T>(values: Values, use: (values: Values) => Promise<T>): Promise<T> {
    const read = tensorsOf(values).flatMap(tensor => this.#kept.get(tensor) ?? [])
    if (read.length === 0) return use(values)
    for (const kept of read) kept.users++
    try {
      return await use(withTensors(values, tensor => this.#kept.get(tensor)?.tensor ?? tensor))
    } finally {
      for (const kept of read) kept.users--
    }
  }

  /** Nobody reads any more. */
  close(): void {
    for (const [tensor, kept] of this.#kept) this.#drop(tensor, kept)
  }

  #makeRoom(bytes: number): boolean {
    this.#room ??= Math.min(limits.spectrum.unpackedBytes, temporaryRoom() / 2)
    if (bytes > this.#room) return false
    const room = this.#room
    const fits = () => this.#taken + bytes <= room && this.#files < limits.spectrum.unpackedCount
    for (const [tensor, kept] of this.#kept) {
      if (fits()) break
      if (kept.users === 0) this.#drop(tensor, kept)
    }
    return fits()
  }

  #drop(tensor: Tensor, { fd, bytes }: Kept): void {
    this.#kept.delete(tensor)
    this.#close(fd, bytes)
  }

  #close(fd: number, bytes: number): void {
    this.#taken -= bytes
    this.#files--
    closeSync(fd)
  }
}
