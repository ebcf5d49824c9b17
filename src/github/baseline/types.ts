import type { BaselineRecord, Report } from '../../report/schema.ts'
import type { Api } from '../api.ts'
import type { BaseCommit } from '../base-commit.ts'
import type { Context } from '../context.ts'

/**
 * What became of the search. With a report: `exact`, of the very commit; `ancestor`, of one before it; `degraded`, the newest of
 * the branch, which may differ by more than the change in question; `given`, of the run that the user named. Without one:
 * `first-run`, nothing was published yet; `expired`, there was one, too long ago; `forbidden`, the token may not read it;
 * `disabled`, there are no artifacts here, or no branch to look on; `invalid`, it is damaged, hostile or of a newer version; `unreachable`, GitHub did
 * not answer, or has more than we look at. Only a first run is one: whatever else lacks a report must not pass for it.
 */
export type BaselineState = BaselineRecord['state']

/** One baseline of the branch. */
export type HistoryPoint = BaselineRecord['history'][number]

/** What the report says of the search (`reason` may hold foreign names: escape it), and what was found. */
export interface Baseline
  extends Pick<BaselineRecord, 'state' | 'reason' | 'branch' | 'wanted' | 'commit' | 'time' | 'distance' | 'history'> {
  report?: Report
  run?: { id: number; url: string }
  artifact?: { id: number; name: string }
  ageSeconds?: number
}

export interface BaselineRequest {
  api: Api
  context: Context
  base: BaseCommit
  artifactName: string
  /** Of the workflow that makes the baselines; this one's by default. */
  workflowPath?: string | undefined
  /** Seconds: an older one counts as expired. */
  maxAge?: number | undefined
  /** How many points of history are wanted, this baseline's among them. */
  history?: number | undefined
  /** Nothing but the baseline of the commit, or of one before it. */
  nearest?: boolean | undefined
  now?: number | undefined
}
