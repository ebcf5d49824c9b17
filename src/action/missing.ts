import { posix, resolve, sep } from 'node:path'
import * as core from '@actions/core'
import picomatch from 'picomatch'
import { exists } from '../bytes/file.ts'
import { isWeights } from '../checkpoint/folder.ts'
import { POINTER_BYTES, refusePointer } from '../checkpoint/pointer.ts'
import type { Settings } from '../config/settings.ts'
import { MissingCheckpointError, UserError } from '../errors.ts'
import { connect, startDeadline } from '../github/api.ts'
import { isJudged } from '../github/base-commit.ts'
import { type Context, hasNoSecrets } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { type FileAt, MOST_AT, readAt } from '../github/repository.ts'
import type { GateRequest } from '../pipeline/gate.ts'
import { printable } from '../render/escape.ts'
import { withoutName } from './checkout.ts'
import { Places } from './places.ts'
import { type Publishing, readCheckpoints } from './publishing.ts'
import { Sides } from './sides.ts'

/** Milliseconds that GitHub may take to tell of the files. */
const MOST = 20_000

/** The settings, and what becomes of a checkpoint that is not there: `onMissing` is undefined where that is an error. */
export function whatIsMissing<S extends Pick<Settings, 'policy'>>(
  context: Context,
  { missingCheckpoint: mode, token }: Publishing,
  settings: S,
): { readonly settings: S } & Pick<GateRequest, 'onMissing'> {
  const isExcused = mode === 'inconclusive-on-forks' && hasNoSecrets(context)
  if (mode !== 'inconclusive' && !isExcused) return { settings }
  const policy = { ...settings.policy, excusesMissing: isExcused }
  return { settings: { ...settings, policy }, onMissing: (error, path) => refuseRemoved(context, token, error, path) }
}

/**
 * What the base branch has in git takes no credentials to fetch: a change that lacks it, or puts something else in its place, has taken it
 * away. Where that can't be told, it is missing like any other.
 * @param given of the checkpoint, of which the error may name one file
 * @throws UserError where it is so
 */
async function refuseRemoved(
  context: Context,
  token: string,
  error: MissingCheckpointError,
  given: string,
): Promise<void> {
  if (!isJudged(context) || !token) return
  const deadline = startDeadline(MOST)
  const path = (await exists(given)) ? given : withoutName(given)
  let removed: string | undefined
  try {
    const sides = new Sides(await connect({ token, apiUrl: context.apiUrl, deadline }), context)
    const patterns = readCheckpoints()
      .map(withoutName)
      .filter(line => picomatch.scan(line).isGlob)
    removed = await whatIsRemoved(sides, { path, where: error.where, patterns })
  } catch (error) {
    core.info(
      printable(explainFailure(error, `Whether ${path} was taken away is not known`, 'contents: read', context)),
    )
    return
  } finally {
    deadline.done()
  }
  if (removed === undefined) return
  throw new UserError(
    `${error.message}; ${removed}`,
    'Only what a step fetches may be missing: missing-checkpoint is not for files of the repository.',
  )
}

/**
 * Why a change lacks weights that the base branch has in git: it has taken one away, or brings what stands for others beside them, as a
 * pointer, an index, or what names other files.
 * @param missing the checkpoint, the file of it that is not there, and what the checkpoint may be one of
 */
async function whatIsRemoved(
  sides: Sides,
  { path, where, patterns }: { readonly path: string; readonly where: string; readonly patterns: readonly string[] },
): Promise<string | undefined> {
  const own = await changeOf(sides, [path, where])
  const gone = own.gone ?? (await changeOf(sides, patterns)).gone
  if (gone !== undefined) return `the base branch has ${gone} in git, and this change does not`
  if (!own.stayed) return undefined
  const brought = [...own.now].find(([file, { sha, size }]) =>
    INDEX.test(file)
      ? ![own.before, own.began].some(files => files.get(file)?.sha === sha)
      : size <= POINTER_BYTES && !own.before.has(file) && !own.began.has(file),
  )
  if (brought) return `the base branch has these weights in git, and this change brings ${brought[0]}`
  const isOfIt = resolve(where).startsWith(resolve(path) + sep) || GRAPH.test(path)
  if (where === path || !isOfIt || (await isWanted(sides, path, where))) return undefined
  return `the base branch has these weights in git, and does not need ${posix.basename(where)}`
}

/** Of ONNX, which may keep its weights in other files. */
const GRAPH = /\.onnx(?:\.gz)?$/

/** Whether a checkpoint, as it was where a change began, is made of a file or folder that is not there: a graph names it, a list of modules, or it lies there. */
async function isWanted(sides: Sides, path: string, where: string): Promise<boolean> {
  const began = await sides.begin()
  const { files } = await sides.list(began)
  const isGraph = GRAPH.test(path)
  const isAt = (name: string) =>
    files.has(name) || files.has(`${name}.dvc`) || [...files.keys()].some(file => file.startsWith(`${name}/`))
  if (!isGraph && [...(await namesOf(sides, [where]))].some(isAt)) return true
  for (const own of await namesOf(sides, [path])) {
    const name = isGraph ? own : posix.join(own, 'modules.json')
    if (!files.has(name)) continue
    const bytes = await readAt(sides.api, sides.context, { path: name, ref: began, most: MOST_AT })
    if (bytes?.includes(posix.basename(where))) return true
  }
  return false
}

/**
 * What a change does to the weights that the base branch has in git, and not as pointers alone: the first that it has taken away, and
 * whether others stay. What the base branch has brought since it began, it does not lack.
 */
async function changeOf(sides: Sides, paths: readonly string[]) {
  const names = await namesOf(sides, paths)
  // One after the other: each has the base branch listed, which is kept for the next.
  const before = await weightsIn(sides, names, sides.base)
  const began = await weightsIn(sides, names, await sides.begin())
  const now = await weightsIn(sides, names, sides.merge)
  let stayed = false
  let asked = 0
  const isReal = async (file: string, { size }: FileAt, ref: string) =>
    !INDEX.test(file) && (size > POINTER_BYTES || (asked++ < MOST_SMALL && !(await isPointer(sides, file, ref))))
  for (const [file, at] of before) {
    if (!(await isReal(file, at, sides.base))) continue
    const still = now.get(file)
    if (still && (still.sha === at.sha || (await isReal(file, still, sides.merge)))) stayed = true
    else if (began.get(file)?.sha !== still?.sha) return { before, began, now, gone: file, stayed }
  }
  return { before, began, now, gone: undefined, stayed }
}

async function namesOf(sides: Sides, paths: readonly string[]): Promise<Set<string>> {
  const places = new Places(sides)
  const names = new Set<string>()
  for (const path of paths) {
    const place = await places.place(path)
    if (place.kind === 'inside') names.add(place.inRepository)
    for (const name of await places.further(path)) names.add(name)
  }
  return names
}

/** Small files that are asked for. */
const MOST_SMALL = 20

/** What names other files as the weights. */
const INDEX = /\.index\.json$/

/** Whether a file lies in a folder, or in one of its folders, as those of sentence-transformers' modules do. */
function isNear(file: string, folder: string): boolean {
  const own = posix.dirname(file)
  return own === folder || (own !== '.' && posix.dirname(own) === folder)
}

/** Weights that a side has in git at one of these paths: the file, those of a folder, or as a pattern has it. */
async function weightsIn(sides: Sides, names: ReadonlySet<string>, ref: string): Promise<Map<string, FileAt>> {
  // What was a file there is none where a folder has its name now.
  const isFile = (await sides.list(sides.base)).files
  const each = [...names].map(name => {
    const matches = picomatch.scan(name).isGlob ? picomatch(name) : () => false
    const isOfFolder = (file: string) => isNear(file, name || '.') && isWeights(posix.basename(file))
    return (file: string) => file === name || (!isFile.has(name) && isOfFolder(file)) || matches(file)
  })
  const { files } = await sides.list(ref)
  return new Map([...files].filter(([file]) => each.some(isAt => isAt(file))))
}

async function isPointer({ api, context }: Sides, path: string, ref: string): Promise<boolean> {
  const bytes = await readAt(api, context, { path, ref, most: POINTER_BYTES })
  try {
    if (bytes) refusePointer(path, bytes)
    return false
  } catch (error) {
    if (error instanceof MissingCheckpointError) return true
    throw error
  }
}
