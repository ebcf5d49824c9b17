import * as z from 'zod'
import { UserError } from '../errors.ts'
import type { RunJob } from './jobs.ts'

const context = z.record(z.string(), z.looseObject({ result: z.string().optional() }))

/** The jobs that a merge needs. */
export interface Needs {
  readonly ids: readonly string[]
  /** Those that are known not to have succeeded: failed, cancelled, or skipped as what they need failed. */
  readonly unfinished: readonly string[]
}

/**
 * The jobs in the input `needs`: those of `toJSON(needs)`, or ids, one a line. None where nothing is set, or nothing is needed.
 * @throws UserError where it is neither
 */
export function parseNeeds(text: string): Needs {
  const value = text.trim()
  if (value === '' || value === 'null') return { ids: [], unfinished: [] }
  const results = value.startsWith('{') ? resultsOf(value) : new Map(value.split('\n').map(line => [line.trim(), '']))
  const ids = [...results.keys()]
  const wrong = ids.find(id => id !== '' && !/^[A-Za-z_][\w-]{0,255}$/.test(id))
  if (wrong === undefined) {
    const known = ids.filter(id => id !== '')
    return { ids: known, unfinished: known.filter(id => !['', 'success'].includes(results.get(id)!)) }
  }
  throw new UserError(
    `needs has ${JSON.stringify(wrong.slice(0, 100))}, which is no id of a job.`,
    'It takes $' + '{{ toJSON(needs) }}, or ids of jobs, one a line.',
  )
}

function resultsOf(text: string): Map<string, string> {
  try {
    const jobs = Object.entries(context.parse(JSON.parse(text)))
    return new Map(jobs.map(([id, { result = '' }]) => [id, result]))
  } catch {
    return new Map([[text, '']])
  }
}

/** Who made a part: the id of its job, where that is known, and the job as GitHub lists it, where that did not run again since. */
export interface Maker {
  readonly id: string | undefined
  readonly job: RunJob | undefined
}

/**
 * Which jobs of a run a merge is about: those that it needs. A needed job may be a call of a reusable workflow, whose parts have ids of
 * its own jobs, and jobs may have names of their own. What can't be told counts, so that no leg is missed.
 */
export class Needed {
  readonly #ids: readonly string[]
  readonly #jobs: readonly RunJob[]
  /** Needed jobs that no part is known to be of. */
  readonly #open: readonly string[]
  /** Whether one of these has not succeeded, so that whatever failed may be the reason. */
  readonly #isLost: boolean

  /** @param needs no ids where all jobs of the run count */
  constructor({ ids, unfinished }: Needs, makers: readonly Maker[], jobs: readonly RunJob[]) {
    this.#ids = ids
    this.#jobs = jobs
    const isCall = (id: string) => jobs.some(({ name }) => name.startsWith(`${id} / `))
    this.#open = ids.filter(id => {
      const made = makers.filter(maker => maker.id === id)
      return isCall(id) || made.length === 0 || made.some(({ job }) => !job || isInner(job, id))
    })
    this.#isLost = unfinished.some(id => !isCall(id) && !makers.some(maker => maker.id === id))
  }

  /** Whether a part is one of those to merge. */
  made({ id, job }: Maker): boolean {
    if (this.#ids.length === 0 || id === undefined || this.#ids.includes(id)) return true
    return this.#open.length > 0 && (job === undefined || this.#mayBe(job))
  }

  /** Whether a job that failed without a part may have been to make one of those. */
  misses(job: RunJob): boolean {
    return this.#ids.length === 0 || this.#isLost || this.#ids.some(id => isCalled(job, id)) || this.#mayBe(job)
  }

  #mayBe(job: RunJob): boolean {
    return this.#open.some(id => isCalled(job, id) || !this.#jobs.some(other => isCalled(other, id)))
  }
}

/** Whether it may be a job of a called workflow, `caller / job`, that has the id of another one here. A name of its own may have a slash, too. */
function isInner({ name }: RunJob, id: string): boolean {
  const own = name.split(' / ').slice(1).join(' / ')
  return own === id || own.startsWith(`${id} (`)
}

/** Whether a job has the name that GitHub gives to one of this id, a leg of its matrix, or a job of the workflow that it calls. */
function isCalled({ name }: RunJob, id: string): boolean {
  return name === id || name.startsWith(`${id} (`) || name.startsWith(`${id} / `)
}
