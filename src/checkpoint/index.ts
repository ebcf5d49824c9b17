import { readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { RandomAccessFile, unreadable } from '../bytes/file.ts'
import { stayInWorkspace } from '../bytes/workspace.ts'
import { CheckpointError, quoted } from '../errors.ts'
import { limits } from '../limits.ts'
import { CONFIGURED } from '../report/settings.ts'
import { describeAdapters } from './adapter.ts'
import { markConstants } from './constants.ts'
import { type Found, findInFolder, isConventional } from './folder.ts'
import { refuseForeign } from './foreign.ts'
import { gguf } from './gguf/index.ts'
import { keras } from './keras/archive.ts'
import { hdf5 } from './keras/hdf5.ts'
import { orientKernels } from './kernels.ts'
import { momentBeside } from './moment.ts'
import { npy } from './numpy/npy.ts'
import { npz } from './numpy/npz.ts'
import { onnx } from './onnx/index.ts'
import { refusePointer } from './pointer.ts'
import { describeQuantised } from './quantised/index.ts'
import type { Contents, Reader, ReadOptions } from './reader.ts'
import { safetensors } from './safetensors.ts'
import { sb3 } from './sb3/index.ts'
import { settingsBeside } from './settings.ts'
import { type Expectation, isShardIndex, readShardIndex, refuseShard } from './shards.ts'
import { markSpectral } from './spectral.ts'
import { stampOf } from './stamp.ts'
import { METADATA, readDistributed } from './torch/dcp.ts'
import { refusePart } from './torch/distributed.ts'
import { torchLegacy, torchZip } from './torch/index.ts'
import { refuseTwoInOne } from './two-in-one.ts'
import { type Checkpoint, DTYPE_BITS, type Format, type Setting, type Stamp, size, type Tensor } from './types.ts'

export * from './types.ts'
export type { ReadOptions }

/** In this order: the special kinds of zip before PyTorch's, and ONNX, which has no magic number, last. */
const READERS: readonly Reader[] = [safetensors, npz, keras, sb3, torchZip, torchLegacy, hdf5, npy, gguf, onnx]

/**
 * Describes the tensors of a checkpoint from its headers: a file, or a folder as Hugging Face lays it out. The kind is found
 * by content.
 * @throws CheckpointError for whatever can't be read whole.
 */
export async function openCheckpoint(path: string, options: ReadOptions = {}): Promise<Checkpoint> {
  const checkpoint = await described(path, options)
  refuseExpanded(checkpoint)
  refuseUpdates(checkpoint)
  const [tensor] = checkpoint.tensors
  const moment = checkpoint.moment ?? (tensor && (await momentBeside(tensor.source.path, checkpoint.stamps)))
  const settings = await settingsOf(checkpoint)
  return { ...checkpoint, ...(moment && { moment }), ...(settings && { settings }) }
}

async function settingsOf({
  path,
  format,
  tensors,
  stamps,
  settings,
}: Checkpoint): Promise<readonly Setting[] | undefined> {
  if (settings) return settings
  if (!CONFIGURED.includes(format)) return undefined
  const isFolder = (await stat(path)).isDirectory()
  // A file of any other name may lie beside the config of something else.
  if (!isFolder && !isConventional(basename(path))) return undefined
  return settingsBeside(tensors, isFolder ? path : dirname(path), stamps)
}

async function described(path: string, options: ReadOptions): Promise<Checkpoint> {
  await stayInWorkspace(path)
  const found = await stat(path).catch(cause => {
    throw unreadable(path, cause)
  })
  if (!found.isDirectory() && !found.isFile()) throw new CheckpointError(path, 'is neither a file nor a folder')
  if (basename(path) === METADATA) return distributed(path, dirname(path))
  if (!found.isDirectory() && !isShardIndex(path)) {
    await refuseShard(path)
    refusePart(path)
    const { format, bytes, contents, stamp } = await readFile(path, options)
    const stamps = [stamp, ...(contents.stamps ?? [])]
    const layers = await describeAdapters(await interpreted(format, contents.tensors, stamps), stamps)
    return { path, format, bytes, unread: [], ...contents, ...layers, stamps }
  }
  if (found.isDirectory() && (await isDistributed(path))) return distributed(path, path)
  const {
    files,
    expected,
    ignored,
    modules = [],
    stamps: indices = [],
  } = found.isDirectory() ? await findInFolder(path) : await ofIndex(path)
  if (!expected) for (const file of files) await refuseShard(file)
  const admit = tensorsWithin(path)
  const stamps = [...indices]
  const [parts, groups]: [Part[], Pick<Checkpoint, 'tensors' | 'updates' | 'unread'>[]] = [[], []]
  for (const { module, ...weights } of [{ module: '', files, expected }, ...modules]) {
    const own = await readParts(weights, admit, options)
    parts.push(...own)
    if (own.length === 0) continue
    stamps.push(...own.flatMap(part => [part.stamp, ...(part.contents.stamps ?? [])]))
    const read = own.flatMap(part => part.contents.tensors)
    // Each by itself: what lies beside a module's file says what its tensors are.
    const layers = await describeAdapters(await interpreted(own[0].format, read, stamps), stamps)
    groups.push(inModule(module, { ...layers, unread: own.flatMap(part => part.contents.unread ?? []) }))
  }
  return {
    path,
    format: parts[0].format,
    bytes: parts.reduce((sum, part) => sum + part.bytes, 0),
    tensors: groups.flatMap(group => group.tensors),
    updates: groups.flatMap(group => group.updates ?? []),
    unread: groups.flatMap(group => group.unread),
    ...(parts[0].contents.attention && { attention: parts[0].contents.attention }),
    ...(parts[0].contents.moment && { moment: parts[0].contents.moment }),
    stateDict: parts[0].contents.stateDict,
    ignored: [...new Set([...ignored, ...parts.flatMap(part => part.contents.ignored)])],
    stamps,
  }
}

/** Names with that of a module in front. */
function inModule(
  module: string,
  { tensors, updates = [], unread }: Pick<Checkpoint, 'tensors' | 'updates' | 'unread'>,
): Pick<Checkpoint, 'tensors' | 'updates' | 'unread'> {
  if (module === '') return { tensors, updates, unread }
  const named = (name: string) => `${module}.${name}`
  return {
    tensors: tensors.map(tensor => ({ ...tensor, name: named(tensor.name) })),
    updates: updates.map(update => ({
      ...{ ...update, key: named(update.key), down: named(update.down), up: named(update.up) },
      ...(update.magnitude !== undefined && { magnitude: named(update.magnitude) }),
    })),
    unread: unread.map(one => ({ ...one, name: named(one.name) })),
  }
}

type Part = Awaited<ReturnType<typeof readFile>>

/** @throws CheckpointError where they are not what is expected of them, or hold too much */
async function readParts(
  { files, expected }: { readonly files: readonly string[]; readonly expected: Expectation | undefined },
  admit: (part: Part) => Part,
  options: ReadOptions,
): Promise<Part[]> {
  const parts: Part[] = []
  for (const file of files) parts.push(admit(await readFile(file, options)))
  expected?.check(
    parts.map(({ contents: { tensors, unread = [] } }, at) => ({
      file: files[at],
      names: [...tensors, ...unread].map(tensor => tensor.name),
    })),
  )
  return parts
}

/** Lets parts through for as long as they have no more tensors together than a checkpoint may have. */
function tensorsWithin(path: string): (part: Part) => Part {
  const most = limits.checkpoint.tensorsCount
  let total = 0
  return part => {
    const { tensors, unread = [] } = part.contents
    total += tensors.length + unread.length
    if (total > most) throw new CheckpointError(path, `has more than ${most} tensors in its files`)
    return part
  }
}

/** Whether a folder is one of torch.distributed.checkpoint, and holds no weights in one piece beside that. */
async function isDistributed(path: string): Promise<boolean> {
  const names = await readdir(path)
  return !names.some(isConventional) && names.includes(METADATA) && names.some(name => name.endsWith('.distcp'))
}

async function distributed(path: string, folder: string): Promise<Checkpoint> {
  const { tensors, ...contents } = await readDistributed(folder)
  const stamps = [...contents.stamps]
  const layers = await describeAdapters(await interpreted('torch-distributed', tensors, stamps), stamps)
  return { path, format: 'torch-distributed', unread: [], ...contents, ...layers, stamps }
}

/** Formats whose readers know themselves what their tensors stand for, and how they lie. */
const SELF_CONTAINED: readonly Format[] = ['keras', 'hdf5', 'onnx', 'gguf']

/** Quantised tensors as what they stand for, kernels as PyTorch has them, masks and tables as constants. */
async function interpreted(format: Format, tensors: readonly Tensor[], stamps: Stamp[]): Promise<Tensor[]> {
  if (SELF_CONTAINED.includes(format)) return markConstants(tensors)
  return markConstants(await markSpectral(orientKernels(await describeQuantised(tensors, stamps))))
}

/**
 * Refuses what makes much of few bytes: each tensor of a few kilobytes may cover the whole file, or repeat it, and chunks may be
 * shared, or never written.
 * @throws CheckpointError where the elements of different views, or what is unpacked, are together far more than what is stored, or
 * their spectra take far more work than its size explains
 */
function refuseExpanded({ path, bytes, tensors }: Pick<Checkpoint, 'path' | 'bytes' | 'tensors'>): void {
  const { expandedElements, viewsRatio, expandedWork, workRatio, workfreeRatio } = limits.checkpoint
  const most = expandedElements * 8 + viewsRatio * bytes
  const mostUnpacked = limits.zip.zerosBytes + limits.zip.inflateRatio * bytes
  const mostWork = expandedWork + workRatio * bytes
  const seen = new Set<string>()
  let [total, unpacked, work] = [0, 0, 0]
  let slow: string | undefined
  const refuse = (name: string, found: string, remedy: string) => {
    throw new CheckpointError(path, `with ${quoted(name)} its ${found}`, remedy)
  }
  for (const { name, dtype, shape, source } of tensors) {
    const own = (size(shape) * DTYPE_BITS[dtype]) / 8
    if (source.kind === 'file') {
      const view = [source.path, source.offset, shape, source.strides].join()
      if (seen.has(view)) continue
      seen.add(view)
      total += own
    } else unpacked += own
    const stored = `of the ${bytes} that are stored`
    if (total > most)
      refuse(
        name,
        `tensors have more than ${most} bytes, ${stored}`,
        'Save its tensors unexpanded, each with its own storage.',
      )
    if (unpacked > mostUnpacked)
      refuse(name, `tensors unpack to more than ${mostUnpacked} bytes, ${stored}`, 'Save it without compression.')
    work += workOf(shape)
    if (work > mostWork && total + unpacked > workfreeRatio * bytes) slow ??= name
  }
  if (slow !== undefined)
    refuse(
      slow,
      `${bytes} bytes stand for matrices whose spectra take far more work than any of that size`,
      'Save it without compression, and its tensors unexpanded.',
    )
}

/**
 * Refuses what makes many large matrices of few bytes: factors of rank 1, in bytes that they share. They are never formed, but each
 * of their elements is looked at once.
 * @throws CheckpointError where that takes more than an adapter of its size explains
 */
function refuseUpdates({ path, bytes, tensors, updates = [] }: Checkpoint): void {
  const { anyWork, workRatio } = limits.adapter
  const shapes = new Map(tensors.map(({ name, shape }) => [name, shape]))
  let work = 0
  for (const { key, down, up } of updates) {
    const [rank, ...inputs] = shapes.get(down)!
    // As `evaluationCost` has it.
    work += size(inputs) * shapes.get(up)![0] * (10 + rank)
    if (work <= anyWork + workRatio * bytes) continue
    throw new CheckpointError(
      path,
      `with ${quoted(key)} its ${bytes} bytes stand for updates of far more elements than any adapter of that size has`,
      'Save its factors unexpanded, each with its own storage, or merge it before saving.',
    )
  }
}

/** What a spectrum takes, in products: M²·N of a matrix, or of each of a stack. */
function workOf(shape: readonly number[]): number {
  const [rows = 1, columns = 1] = shape.slice(-2)
  if (shape.length < 2 || shape.length > 3) return 0
  return (size(shape) / Math.max(1, rows * columns)) * Math.min(rows, columns) * rows * columns
}

async function ofIndex(path: string): Promise<Found> {
  const folder = dirname(path)
  return { ...(await readShardIndex(folder, basename(path), await readdir(folder))), ignored: [] }
}

/** @throws CheckpointError where a file is no longer the one whose headers were read */
export async function refuseChanged({ stamps }: Checkpoint): Promise<void> {
  for (const { path, size, time, changed, inode } of stamps) {
    const now = await stat(path).catch(() => undefined)
    if (now?.size === size && now.mtimeMs === time && now.ctimeMs === changed && now.ino === inode) continue
    throw new CheckpointError(
      path,
      'changed while it was being read',
      'Let the step that writes it end before this one begins.',
    )
  }
}

async function readFile(
  path: string,
  options: ReadOptions,
): Promise<{ format: Format; bytes: number; contents: Contents; stamp: Stamp }> {
  const file = await RandomAccessFile.open(path)
  try {
    const head = await file.read(0, Math.min(4096, file.size))
    refusePointer(path, head, file.size)
    const reader = READERS.find(reader => reader.recognises({ head, size: file.size }))
    if (!reader) throw unknownKind(path, head, file.size)
    await refuseTwoInOne(file, reader.format)
    const stamp = stampOf(file)
    return { format: reader.format, bytes: file.size, contents: await reader.read(file, options), stamp }
  } finally {
    await file.close()
  }
}

function unknownKind(path: string, head: Buffer, size: number): CheckpointError {
  refuseForeign(path, head)
  const known =
    'Known kinds are safetensors, PyTorch (torch.save, TorchScript), Keras (.h5, .keras), ONNX, GGUF, NumPy (.npz, .npy), Stable-Baselines3 zips, and Hugging Face folders.'
  if (size === 0) return new CheckpointError(path, 'is empty', known)
  const text = head.subarray(0, 64)
  const printable = text.every(byte => byte === 9 || byte === 10 || byte === 13 || (byte >= 32 && byte < 127))
  if (printable)
    return new CheckpointError(
      path,
      `is a text file, not a checkpoint: ${JSON.stringify(text.toString('latin1', 0, 40))}`,
      known,
    )
  return new CheckpointError(path, `is of no known kind (it begins with ${text.subarray(0, 8).toString('hex')})`, known)
}
