import type { RandomAccessFile } from '../bytes/file.ts'
import type { Checkpoint, Format } from './types.ts'

/** What is known of a file before anybody parses it. */
export interface Probe {
  /** The first bytes: 4096, or the whole file where it is shorter. */
  readonly head: Buffer
  /** Bytes. */
  readonly size: number
}

export interface ReadOptions {
  /** Path of keys to the state dict to take, dots between them, where a file holds several. Chosen by a documented order without it. */
  readonly stateDict?: string | undefined
}

export type Contents = Pick<Checkpoint, 'tensors' | 'stateDict' | 'ignored'> &
  Partial<Pick<Checkpoint, 'unread' | 'stamps' | 'attention' | 'moment' | 'settings'>>

/**
 * The socket of a container format. `recognises` looks at content alone, never at a name. `read` describes the tensors from
 * headers alone and checks every range against the file's size; it throws CheckpointError for whatever is wrong.
 */
export interface Reader {
  readonly format: Format
  recognises(probe: Probe): boolean
  read(file: RandomAccessFile, options: ReadOptions): Promise<Contents>
}
