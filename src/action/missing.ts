import { posix } from 'node:path'
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
import { type FileAt, readAt } from '../github/repository.ts'
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
  try {
    const sides = new Sides(await connect({ token, apiUrl: context.apiUrl, deadline }), context)
    const patterns = readCheckpoints()
      .map(withoutName)
      .filter(line => picomatch.scan(line).isGlob)
    if (!(await isRemoved(sides, [path, error.where], patterns))) return
  } catch (error) {
    core.info(
      printable(explainFailure(error, `Whether ${path} was taken away is not known`, 'contents: read', context)),
    )
    return
  } finally {
    deadline.done()
  }
  throw new UserError(
    `${error.message}; the base branch has it in git, and this change does not`,
    'Only what a step fetches may be missing: missing-checkpoint is not for files of the repository.',
  )
}

/**
 * Whether a change lacks weights that the base branch has in git, or brings what stands for others beside them.
 * @param patterns what the paths may be some of
 */
async function isRemoved(sides: Sides, paths: readonly string[], patterns: readonly string[]): Promise<boolean> {
  const own = await changeOf(sides, paths)
  if (own.gone || (await changeOf(sides, patterns)).gone) return true
  const isBrought = ([file, { sha, size }]: [string, FileAt]) =>
    INDEX.test(file) ? own.before.get(file)?.sha !== sha : size <= POINTER_BYTES && !own.before.has(file)
  return own.stayed && [...own.now].some(isBrought)
}

/** What a change does to the weights that the base branch has in git, and not as pointers alone: whether one is gone, or all stay. */
async function changeOf(sides: Sides, paths: readonly string[]) {
  const names = await namesOf(sides, paths)
  const [before, now] = [await weightsIn(sides, names, sides.base), await weightsIn(sides, names, sides.merge)]
  let stayed = false
  let asked = 0
  const isReal = async (file: string, { size }: FileAt, ref: string) =>
    !INDEX.test(file) && (size > POINTER_BYTES || (asked++ < MOST_SMALL && !(await isPointer(sides, file, ref))))
  for (const [file, at] of before) {
    if (!(await isReal(file, at, sides.base))) continue
    const still = now.get(file)
    if (!still || (still.sha !== at.sha && !(await isReal(file, still, sides.merge))))
      return { before, now, gone: true, stayed }
    stayed = true
  }
  return { before, now, gone: false, stayed }
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

/** Weights that a side has in git at one of these paths: the file, those of a folder that lie in it itself, or as a pattern has it. */
async function weightsIn(sides: Sides, names: ReadonlySet<string>, ref: string): Promise<Map<string, FileAt>> {
  // What was a file there is none where a folder has its name now.
  const isFile = (await sides.list(sides.base)).files
  const each = [...names].map(name => {
    const matches = picomatch.scan(name).isGlob ? picomatch(name) : () => false
    const isOfFolder = (file: string) => posix.dirname(file) === (name || '.') && isWeights(posix.basename(file))
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
