import { isDeepStrictEqual } from 'node:util'
import { limits } from '../../limits.ts'
import { SUMMARY_METRICS } from '../../report/columns.ts'
import type { Comparison, Report } from '../../report/schema.ts'
import { type Candidate, readArtifact } from './archive.ts'
import type { Artifacts } from './artifacts.ts'
import type { Lineage } from './lineage.ts'
import { isoTime } from './prose.ts'
import type { BaselineRequest, HistoryPoint } from './types.ts'

/** Points that are told, for each that is wanted: most commits leave the models as they are, and tell nothing of what changes do. */
const TOLD = 4
/** Points that a report takes. */
const MOST = 100

/**
 * Up to `history` points, and more where the models stayed as they were: those that the newest report tells of itself, if they are of
 * commits before it, and else what other artifacts hold. What can't be read is left out: a trend is never worth a verdict.
 */
export async function earlier(
  { api, context, history = 0 }: BaselineRequest,
  artifacts: Artifacts,
  lineage: Lineage,
  newest: Candidate,
  report: Report,
): Promise<HistoryPoint[]> {
  if (history < 1) return []
  const points = [point(newest, report)]
  const told = new Map(report.baseline?.history.map(one => [one.commit, one]))
  const end = Date.now() + Math.min(limits.github.historyMilliseconds, api.deadline.left() / 2)
  const most = Math.min(TOLD * history, MOST)
  let bytes = 0
  let changes = 0
  try {
    for await (const { sha } of lineage.before(newest.sha)) {
      if (changes >= history || points.length >= most) return points
      const known = told.get(sha)
      if (known) {
        told.delete(sha)
        if (!isDeepStrictEqual(known.models, points[0].models)) changes++
        points.unshift(known)
        continue
      }
      if (points.length >= history && told.size === 0) return points
      if (points.length >= history) continue
      while (await artifacts.more());
      for (const candidate of artifacts.of(sha)) {
        if (Date.now() > end) return points
        if (candidate.expired || !(await artifacts.trusted(candidate))) continue
        bytes += candidate.size
        if (bytes > limits.github.historyBytes) return points
        const read = await readArtifact(api, context, candidate).catch(() => undefined)
        if (!read) continue
        points.unshift(point(candidate, read))
        break
      }
    }
  } catch {}
  return points
}

function point({ sha, run, created }: Candidate, { models, figures, comparison }: Report): HistoryPoint {
  return {
    commit: sha,
    time: isoTime(created),
    run_id: run,
    ...(figures && { figures: figures.map(({ name, value }) => ({ name, value })) }),
    models: models.map(({ name, summary }, i) => ({
      name,
      ...tailShape(comparison?.models[i]),
      summary: Object.fromEntries(
        SUMMARY_METRICS.map(metric => [metric, summary[metric]]),
      ) as HistoryPoint['models'][number]['summary'],
    })),
  }
}

function tailShape(compared: Comparison['models'][number] | undefined): { tail_shape?: number } {
  const { primary, tail_shape } = compared?.judgement ?? {}
  return primary === 'tail_shape' && tail_shape != null ? { tail_shape } : {}
}
