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
import { readAt } from '../github/repository.ts'
import type { GateRequest } from '../pipeline/gate.ts'
import { printable } from '../render/escape.ts'
import { withoutName } from './checkout.ts'
import { Places } from './places.ts'
import type { Publishing } from './publishing.ts'
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
  return { settings: { ...settings, policy }, onMissing: error => refuseRemoved(context, token, error) }
}

/**
 * What the base branch has in git takes no credentials to fetch: a change that lacks it has taken it away. Where that can't be told, it is
 * missing like any other.
 * @throws UserError where it is so
 */
async function refuseRemoved(context: Context, token: string, error: MissingCheckpointError): Promise<void> {
  if (!isJudged(context) || !token) return
  const deadline = startDeadline(MOST)
  const path = (await exists(error.where)) ? error.where : withoutName(error.where)
  try {
    const sides = new Sides(await connect({ token, apiUrl: context.apiUrl, deadline }), context)
    if (!(await isRemoved(sides, path))) return
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

async function isRemoved(sides: Sides, path: string): Promise<boolean> {
  const places = new Places(sides)
  const place = await places.place(path)
  const names = [...(place.kind === 'inside' ? [place.inRepository] : []), ...(await places.further(path))]
  for (const name of new Set(names)) {
    // What was a file there is none where a folder has its name now.
    const isFile = (await sides.list(sides.base)).files.has(name)
    const [before, now] = [sides.base, sides.merge].map(ref => () => hasWeights(sides, name, ref, isFile))
    if ((await before()) && !(await now())) return true
  }
  return false
}

/** Whether a side has weights in git at a path: the file, those of a folder that lie in it itself, or as a pattern has it, and not as pointers alone. */
async function hasWeights(sides: Sides, name: string, ref: string, isFile: boolean): Promise<boolean> {
  const { files } = await sides.list(ref)
  const matches = picomatch.scan(name).isGlob ? picomatch(name) : () => false
  const small: string[] = []
  for (const [file, { size }] of files) {
    const isOfFolder = !isFile && posix.dirname(file) === (name || '.') && isWeights(posix.basename(file))
    if (file !== name && !isOfFolder && !matches(file)) continue
    if (size > POINTER_BYTES) return true
    small.push(file)
  }
  for (const path of small.slice(0, MOST_SMALL)) if (!(await isPointer(sides, path, ref))) return true
  return false
}

/** Files of a folder that are asked for. */
const MOST_SMALL = 5

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
