import { join, relative } from 'node:path'
import * as core from '@actions/core'
import { exists } from '../bytes/file.ts'
import { workspaceOf } from '../bytes/workspace.ts'
import { CONFIG_PATH, type Config, NO_CONFIG, parseConfig, readConfig } from '../config/file.ts'
import { type Layers, withoutLoosening } from '../config/in-force.ts'
import { assureUsable } from '../config/settings.ts'
import { explain, UserError } from '../errors.ts'
import { connect, startDeadline } from '../github/api.ts'
import { baseRef, isJudged } from '../github/base-commit.ts'
import { parseBaselineSource } from '../github/baseline/options.ts'
import type { Context } from '../github/context.ts'
import { explainFailure } from '../github/failures.ts'
import { isOfAnother } from '../github/git.ts'
import { readAt, UnreadableError } from '../github/repository.ts'
import { limits } from '../limits.ts'
import { printable } from '../render/escape.ts'
import { checkoutOf, isSubmodule, mainCheckout, refuseBack, repositoryPath } from './checkout.ts'
import { Places } from './places.ts'
import { readCheckpoints, readInputs, readPublishing } from './publishing.ts'
import { Sides } from './sides.ts'

/** Milliseconds that GitHub may take to give a file of the base branch. */
const MOST = 20_000

/** The config file of the base branch: `absent`, or why it can't be read. */
export type BaseConfig =
  | { readonly kind: 'found'; readonly config: Config; readonly path: string }
  | { readonly kind: 'absent' }
  /** `unusable` where it was read, and says what nobody can go by. */
  | { readonly kind: 'unreadable'; readonly reason: string; readonly unusable?: true }
  /** Nothing is being judged here: the checkout's own counts. */
  | { readonly kind: 'own'; readonly path?: string | undefined }

/** What is set, and what a pull request would set. */
export interface Rules {
  readonly inForce: Layers
  /** As the head has it; undefined where the head is not judged. */
  readonly proposed: Layers | undefined
  /** The base branch has no config file, the head has the first. */
  readonly introduced: boolean
  /** Why the base branch's config file can't be read; empty otherwise. */
  readonly unreadable: string
  /** That is so because of what it says. */
  readonly unusable?: true | undefined
  /** The base branch's config file, as it is now, is what counts. */
  readonly ofBase?: true
  /** Path of the config file in the repository; undefined where there is none, or it lies elsewhere. */
  readonly path?: string
}

/** The config file of the branch that a change is to be merged into, which judges it. Failures do not throw. */
export async function readBaseConfig(context: Context, token: string): Promise<BaseConfig> {
  const named = core.getInput('config')
  if (isJudged(context)) refuseBack(named)
  const path = named ? await repositoryPath(named, context, { within: true }) : CONFIG_PATH
  if (!isJudged(context)) return { kind: 'own', path }
  // Made by a step, or of the runner: no file of the repository.
  if (path === undefined) return { kind: 'own' }
  const what = `The config file of the base branch, ${path}, can't be read`
  if (!token) return { kind: 'unreadable', reason: `${what}: the input github-token is empty.` }
  const deadline = startDeadline(MOST)
  try {
    const api = await connect({ token, apiUrl: context.apiUrl, deadline })
    const places = new Places(new Sides(api, context))
    const followed = named ? await places.follow(named) : { path: CONFIG_PATH }
    if ('reason' in followed) return { kind: 'unreadable', reason: `${what}: ${followed.reason}.` }
    const reached = named ? await repositoryPath(followed.path, context, { within: true }) : CONFIG_PATH
    if (reached === undefined) return { kind: 'own' }
    // Another checkout may lie in the place of a folder of the base branch's.
    const around = named ? await places.around(followed.path) : []
    const further = named ? await places.further(followed.path) : []
    for (const path of new Set([...around, reached, ...further])) {
      const bytes = await readAt(api, context, { path, ref: baseRef(context), most: limits.config.bytes })
      if (bytes) return { kind: 'found', path, config: await parseUsable(context, bytes.toString('utf8'), path) }
    }
    const checkout = await checkoutOf(followed.path, workspaceOf())
    const unreadable = (why: string) => ({ kind: 'unreadable', reason: `${what}: ${why}.` }) as const
    if (!named) return { kind: 'absent' }
    if (await isSubmodule(checkout)) return unreadable('it lies in a submodule, which the change may have moved')
    if (await isOfAnother(checkout, context)) return { kind: 'own' }
    const link = await places.inTheWay(reached)
    return link === undefined ? { kind: 'absent' } : unreadable(`that branch has a link or a submodule at ${link}`)
  } catch (error) {
    if (error instanceof UnreadableError) return { kind: 'unreadable', reason: `${what}: ${error.message}.` }
    if (error instanceof UserError) return { kind: 'unreadable', reason: `${what}: ${explain(error)}`, unusable: true }
    return { kind: 'unreadable', reason: explainFailure(error, what, 'contents: read', context) }
  } finally {
    deadline.done()
  }
}

/**
 * Which options are in force. A change of the gate takes effect when it is merged: of a pull request, the base branch's config file
 * counts. Where that has none, the head's does; but where the workflow has rules of its own, or where the base can't be read, not
 * with what can let something pass.
 * @throws UserError where the checkout's own config file is not usable
 */
export async function readRules(base: BaseConfig): Promise<Rules> {
  const inputs = readInputs()
  const own = await readOwn()
  const layers = (config: Config): Layers => ({ config, inputs })
  const strict = { introduced: false, unreadable: '', proposed: layers(own) }
  switch (base.kind) {
    case 'own':
      return {
        ...{ inForce: layers(own), proposed: undefined, introduced: false, unreadable: '' },
        ...(base.path !== undefined && isSet(own) && { path: base.path }),
      }
    case 'found':
      return { ...strict, inForce: layers(base.config), ofBase: true, path: base.path }
    case 'unreadable':
      return { ...strict, inForce: layers(withoutLoosening(own)), unreadable: base.reason, unusable: base.unusable }
    case 'absent': {
      const { 'fail-if': fail, 'warn-if': warn } = inputs.settings
      const gated = Boolean(fail?.length || warn?.length)
      const introduced = isSet(own)
      return { ...strict, introduced, inForce: layers(gated ? withoutLoosening(own) : own) }
    }
  }
}

function isSet({ settings, publishing }: Config): boolean {
  return Object.keys(settings).length + Object.keys(publishing).length > 0
}

async function readOwn(): Promise<Config> {
  const named = core.getInput('config')
  if (named) return readConfig(named)
  const workspace = process.env.GITHUB_WORKSPACE ?? ''
  const checkout = await mainCheckout(readCheckpoints(), workspace)
  const below = relative(process.cwd(), join(checkout, CONFIG_PATH))
  for (const path of new Set([CONFIG_PATH, below])) {
    const other = path.replace(/\.yml$/, '.yaml')
    if (!(await exists(path)) && (await exists(other)))
      throw new UserError(`${other}: is not read under this name`, `Call it ${CONFIG_PATH}.`)
  }
  for (const path of new Set([CONFIG_PATH, below])) {
    const found = await readConfig(path, true)
    if (found) return found
  }
  core.info(printable(`No config file: there is no ${[...new Set([CONFIG_PATH, below])].join(', nor ')}.`))
  return NO_CONFIG
}

/**
 * @throws UserError where it is not usable, neither alone nor with the inputs. What only the inputs make unusable still counts: they
 * are the change's. So does a rule on a metric that is not known, which a metrics file may have had.
 */
async function parseUsable(context: Context, text: string, path: string): Promise<Config> {
  const config = await parseConfig(text, path)
  const check = (inputs: Config) => {
    assureUsable(config.settings, inputs.settings)
    parseBaselineSource(String(inputs.settings.baseline || config.settings.baseline || ''))
    readPublishing(context, { config, inputs })
  }
  try {
    check(NO_CONFIG)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    check(readInputs())
  }
  return config
}
