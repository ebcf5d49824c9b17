import { describe, expect, test } from 'vitest'
import type { RunJob } from '../../src/github/jobs.ts'
import { type Maker, Needed, parseNeeds } from '../../src/github/needed.ts'

const job = (name: string, broken = false, ended = 1): RunJob => ({
  ...{ name, broken, skipped: false, attempt: 1, runner: name, started: 0, ended, gated: true },
})
const maker = (id: string | undefined, name: string): Maker => ({ id, job: job(name) })
/** Names of jobs as GitHub lists them; those of makers are listed, too. */
const needed = (
  ids: string[],
  makers: Maker[],
  others: RunJob[] = [],
  unfinished: string[] = [],
  succeeded: string[] = [],
  own?: RunJob,
) => new Needed({ ids, unfinished, succeeded }, makers, [...makers.flatMap(({ job }) => job ?? []), ...others], own)

test.each([
  ['', []],
  ['null', []],
  ['{}', []],
  [
    '{"train": {"result": "success", "outputs": {"a": "{"}}, "lint-2": {"result": "failure", "outputs": {}}}',
    ['train', 'lint-2'],
  ],
  ['train\n  eval\n\n', ['train', 'eval']],
])('needs: %s', (text, ids) => expect(parseNeeds(text).ids).toEqual(ids))

test('what has not succeeded is known by its result', () => {
  const results = { a: 'success', b: 'skipped', c: 'failure', d: 'cancelled' }
  const text = JSON.stringify(Object.fromEntries(Object.entries(results).map(([id, result]) => [id, { result }])))
  expect(parseNeeds(text).unfinished).toEqual(['b', 'c', 'd'])
  expect(parseNeeds('a\nb').unfinished).toEqual([])
})

test.each(['{"train": ', '[1]', 'train, eval', '{"a b": {}}', 'toJSON(needs)'])('is none: %s', text =>
  expect(() => parseNeeds(text)).toThrow(/which is no id of a job/),
)

describe('a part', () => {
  const [vision, text] = [maker('vision', 'vision (small)'), maker('text', 'text (small)')]
  test('of any job is merged where nothing is needed', () => expect(needed([], [vision, text]).made(text)).toBe(true))
  test('of another job is not', () => {
    expect(needed(['vision'], [vision, text]).made(vision)).toBe(true)
    expect(needed(['vision'], [vision, text]).made(text)).toBe(false)
  })
  test('that does not say whose it is, is', () =>
    expect(needed(['vision'], [vision]).made(maker(undefined, 'x'))).toBe(true))
  test('of a called workflow is that of the job that calls it', () => {
    const [own, other] = [maker('fit', 'train / fit'), maker('fit', 'other / fit')]
    expect(needed(['train'], [own, other]).made(own)).toBe(true)
    expect(needed(['train'], [own, other]).made(other)).toBe(false)
    expect(needed(['train'], [other], [job('train / fit', true)]).made({ id: 'fit', job: undefined })).toBe(true)
  })
  test('of a job of its own is not of one whose name is not known', () => {
    const all = [job('Setup')]
    expect(needed(['setup', 'text'], [vision, text], all).made(vision)).toBe(false)
    expect(needed(['setup', 'text'], [vision, text], all).made(text)).toBe(true)
  })
  test('of a job whose own name has a slash is that job’s', () => {
    const [vision, text] = [maker('train-vision', 'Train / vision'), maker('train-text', 'Train / text')]
    expect(needed(['train-text'], [vision, text]).made(vision)).toBe(false)
  })
  test('of a called workflow under another name is merged, for nobody can tell', () =>
    expect(needed(['train'], [maker('fit', 'Training / fit')]).made(maker('fit', 'Training / fit'))).toBe(true))
  test('of a called workflow whose job has the id of a needed one does not stand for it', () => {
    const inner = maker('train', 'other / train')
    expect(needed(['train'], [inner]).made(maker('fit', 'Training / fit'))).toBe(true)
    expect(needed(['train'], [inner]).misses(job('Training', true))).toBe(true)
  })
})

test('a workflow that is called twice: its merge takes the parts of its own call', () => {
  const [text, vision] = [maker('train', 'text / train (a)'), maker('train', 'vision / train (a)')]
  const merge = needed(['train'], [text, vision], [], [], [], job('text / merge'))
  expect([text, vision].map(one => merge.made(one))).toEqual([true, false])
  expect(['text / train (b)', 'vision / train (b)'].map(name => merge.misses(job(name, true)))).toEqual([true, false])
  const named = needed(['train'], [maker('train', 'train (a)'), vision], [], [], [], job('Gate / merge'))
  expect(named.made(maker('train', 'train (a)'))).toBe(true)
})

describe('a failed job', () => {
  const [made, broken] = [maker('train', 'train (a)'), job('tokenizer', true)]
  test('without a part is lost where nothing is needed', () => expect(needed([], [made]).misses(broken)).toBe(true))
  test('is none of those that are needed', () => {
    expect(needed(['train'], [made], [broken]).misses(broken)).toBe(false)
    expect(needed(['train', 'lint'], [made], [broken, job('lint')]).misses(broken)).toBe(false)
  })
  test.each(['train', 'train (b)', 'train / fit'])('is: %s', name =>
    expect(needed(['train'], [made], [job(name, true)]).misses(job(name, true))).toBe(true),
  )
  test('is what a needed one without a part was skipped for', () => {
    const build = job('build-b', true)
    const skipped = (unfinished: string[]) => needed(['train', 'part-b'], [made], [build, job('part-b')], unfinished)
    expect(skipped(['part-b']).misses(build)).toBe(true)
    expect(skipped(['train']).misses(build)).toBe(false)
  })
  test('is what a needed one was skipped for only where it ended before', () => {
    const skipped = { ...job('part-b'), skipped: true }
    const all = needed(['train', 'part-b'], [made], [skipped], ['part-b'])
    expect(all.misses(job('build-b', true, 1))).toBe(true)
    expect(all.misses(job('nightly', true, 2))).toBe(false)
  })
  test('is none of those that succeeded, and none of a job that is not needed', () => {
    const setup = job('Setup')
    expect(needed(['train', 'setup'], [made], [setup], [], ['train', 'setup']).misses(broken)).toBe(false)
    expect(needed(['train', 'setup'], [made], [setup]).misses(broken)).toBe(true)
    const other = maker('vision', 'vision (a)')
    expect(needed(['train', 'setup'], [made, other], [setup]).misses(job('vision (b)', true))).toBe(false)
  })
  test('of another name may be one that no part is of', () => {
    expect(needed(['train', 'large'], [made], [job('The large one', true)]).misses(job('The large one', true))).toBe(
      true,
    )
    expect(needed(['large'], [], [job('Large', true)]).misses(job('Large', true))).toBe(true)
  })
  test('within a called workflow has no name that tells', () => {
    const inner = maker('small', 'models / small')
    expect(needed(['small', 'large'], [inner]).misses(job('models / large', true))).toBe(true)
  })
})
