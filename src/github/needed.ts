import * as z from 'zod'
import { UserError } from '../errors.ts'
import type { RunJob } from './jobs.ts'

const context = z.record(z.string(), z.looseObject({ result: z.string().optional() }))

/** The jobs that a merge needs. */
export interface Needs {
  readonly ids: readonly string[]
  /** Those that are known not to have succeeded: failed, cancelled, or skipped, by their own condition or as what they need failed. */
  readonly unfinished: readonly string[]
  readonly succeeded: readonly string[]
}

/**
 * The jobs in the input `needs`: those of `toJSON(needs)`, or ids, one a line. None where nothing is set, or nothing is needed.
 * @throws UserError where it is neither
 */
export function parseNeeds(text: string): Needs {
  const value = text.trim()
  if (value === '' || value === 'null') return { ids: [], unfinished: [], succeeded: [] }
  const results = value.startsWith('{') ? resultsOf(value) : new Map(value.split('\n').map(line => [line.trim(), '']))
  const ids = [...results.keys()]
  const wrong = ids.find(id => id !== '' && !/^[A-Za-z_][\w-]{0,255}$/.test(id))
  if (wrong === undefined) {
    const known = ids.filter(id => id !== '')
    const [succeeded, others] = [known.filter(id => results.get(id) === 'success'), known.filter(id => results.get(id))]
    return { ids: known, succeeded, unfinished: others.filter(id => !succeeded.includes(id)) }
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
  /** Those of them that may have lost a part. */
  readonly #losing: readonly string[]
  /** Jobs of this workflow that made parts and are not needed. */
  readonly #others: readonly string[]
  /** Milliseconds at the latest of which something failed for which one of them has not succeeded; none where they have. */
  readonly #lostAt: number
  /** What the names of all needed jobs begin with: the call of the workflow that has them, where a run calls it more than once. */
  readonly #call: string

  /**
   * @param needs no ids where all jobs of the run count
   * @param own the job that merges, as GitHub lists it
   */
  constructor(
    { ids, unfinished, succeeded }: Needs,
    makers: readonly Maker[],
    jobs: readonly RunJob[],
    own: RunJob | undefined,
  ) {
    this.#ids = ids
    this.#jobs = jobs
    this.#call = own ? callOf(own, ids, makers) : ''
    const isCall = (id: string) => jobs.some(({ name }) => name.startsWith(`${id} / `))
    this.#open = ids.filter(id => {
      const made = makers.filter(maker => maker.id === id)
      return isCall(id) || made.length === 0 || made.some(({ job }) => !job || isInner(job, id))
    })
    this.#losing = this.#open.filter(id => !succeeded.includes(id))
    this.#others = makers.flatMap(({ id, job }) => (id && job && !ids.includes(id) && !isNested(job) ? id : []))
    const lost = unfinished.filter(id => !isCall(id) && !makers.some(maker => maker.id === id))
    this.#lostAt = Math.max(Number.NEGATIVE_INFINITY, ...lost.map(id => skippedAt(jobs, id)))
  }

  /** Whether a part is one of those to merge. */
  made({ id, job }: Maker): boolean {
    if (job && !job.name.startsWith(this.#call)) return false
    if (this.#ids.length === 0 || id === undefined || this.#ids.includes(id)) return true
    return this.#open.length > 0 && (job === undefined || (isNested(job) && this.#mayBe(job, this.#open)))
  }

  /** Whether a job that failed without a part may have been to make one of those. */
  misses(job: RunJob): boolean {
    if (!job.name.startsWith(this.#call)) return false
    if (this.#ids.length === 0 || job.ended <= this.#lostAt || this.#ids.some(id => isCalled(job, id))) return true
    return !this.#others.some(id => isCalled(job, id)) && this.#mayBe(job, this.#losing)
  }

  #mayBe(job: RunJob, open: readonly string[]): boolean {
    return open.some(id => isCalled(job, id) || !this.#jobs.some(other => isCalled(other, id)))
  }
}

/** What a called workflow's jobs are called before their own names; empty where not all needed jobs are known to have that of the merging one. */
function callOf({ name }: RunJob, ids: readonly string[], makers: readonly Maker[]): string {
  const call = name.slice(0, name.lastIndexOf(' / ') + ' / '.length)
  const made = ids.map(id => makers.filter(maker => maker.id === id && maker.job))
  const isKnown = made.some(some => some.length > 0)
  const isOfCall = made.every(some => some.length === 0 || some.some(({ job }) => job!.name.startsWith(call)))
  return name.includes(' / ') && isKnown && isOfCall ? call : ''
}

/** When a job was skipped, after whatever it was skipped for; infinity where it is not known to be. */
function skippedAt(jobs: readonly RunJob[], id: string): number {
  const skipped = jobs.filter(job => job.skipped && isCalled(job, id))
  return skipped.length > 0 ? Math.max(...skipped.map(({ ended }) => ended)) : Number.POSITIVE_INFINITY
}

/** Whether it may be a job of a called workflow: any other's name has a slash only where it was given one. */
function isNested({ name }: RunJob): boolean {
  return name.includes(' / ')
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
