import { parseArgs } from 'node:util'
import { generator } from '../../src/series/inference.ts'
import { judgeSeries } from '../../src/series/report.ts'

// How often Simpson's paradox is found where it was planted, and claimed where there is none: whole runs of `series`.

const { values } = parseArgs({ options: { seeds: { type: 'string', default: '1000' } } })
const SEEDS = Number(values.seeds)
const GROUPS = 4
const MODELS = 24

type Draw = (random: () => number) => number

const normal: Draw = random => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
/** Student's t with 3 degrees, of variance 1. */
const heavy: Draw = random => {
  const squares = [0, 1, 2].map(() => normal(random) ** 2)
  return normal(random) / Math.sqrt(squares.reduce((a, b) => a + b, 0) / 3) / Math.sqrt(3)
}
const skewed: Draw = random => -Math.log(1 - random()) - 1

interface World {
  readonly what: string
  /** Correlation within each group. */
  readonly within: readonly number[]
  /** Variance between the means of the groups, where 1 is that within; of x and y alike. */
  readonly between: number
  readonly noise?: Draw
  /** Standard deviation of each group. */
  readonly spread?: readonly number[]
  /** The means of the groups are drawn, of x and y each on its own, in place of being on a line. */
  readonly random?: boolean
  readonly planted: boolean | undefined
}

/** r over all = (between + within) / (between + 1). */
const PLANTED = { within: Array(GROUPS).fill(-0.5), between: 2, planted: true }
const NONE = { within: Array(GROUPS).fill(0), planted: false }
const WORLDS: readonly World[] = [
  { ...PLANTED, what: 'planted: −0.5 within, +0.5 over all, normal' },
  { ...PLANTED, what: 'planted, t₃ noise', noise: heavy },
  { ...PLANTED, what: 'planted, exponential noise', noise: skewed },
  { ...NONE, what: 'none: no trend at all', between: 0 },
  { what: 'none: +0.5 within and over all', within: Array(GROUPS).fill(0.5), between: 1, planted: false },
  { what: 'none: −0.5 within, groups alike', within: Array(GROUPS).fill(-0.5), between: 0, planted: false },
  { ...NONE, what: 'none: only between, +0.5 over all', between: 1 },
  { ...NONE, what: 'none: only between, t₃ noise', between: 1, noise: heavy },
  { ...NONE, what: 'none: only between, unequal variances', between: 1, spread: [0.4, 0.8, 1.2, 1.6] },
  { what: 'none: only between, unequal slopes', within: [-0.5, -0.2, 0.2, 0.5], between: 1, planted: false },
  {
    ...{ what: 'by chance: −0.5 within, groups anywhere (the data show it then)', within: Array(GROUPS).fill(-0.5) },
    ...{ between: 2, random: true, planted: undefined },
  },
]

/** Whether a series of this world is called a paradox. */
function isCalled({ within, between, noise = normal, spread, random: anywhere }: World, seed: number): boolean {
  const random = generator(seed)
  // The numbers 0 to 3 have the variance 1.25.
  const apart = Math.sqrt(between / 1.25)
  const points = within.flatMap((rho, g) => {
    const centre = anywhere ? [0, 0].map(() => Math.sqrt(between) * normal(random)) : [apart * g, apart * g]
    return Array.from({ length: MODELS }, (_, i) => {
      const [a, b] = [noise(random), noise(random)]
      const size = spread?.[g] ?? 1
      return {
        ...{ name: `${g}-${i}`, group: String(g), step: undefined },
        target: centre[1] + size * (rho * a + Math.sqrt(1 - rho * rho) * b),
        metrics: new Map([['alpha', centre[0] + size * a]]),
      }
    })
  })
  const target = { name: 'error', better: 'lower' } as const
  return judgeSeries({ target, points, directions: new Map(), ignored: [] }).metrics[0].paradox !== null
}

console.log(`${GROUPS} groups of ${MODELS}, ${SEEDS} seeds each\n`)
let good = true
for (const world of WORLDS) {
  let called = 0
  for (let seed = 1; seed <= SEEDS; seed++) if (isCalled(world, seed)) called++
  const share = called / SEEDS
  const held = world.planted === undefined || (world.planted ? share >= 0.95 : share <= 0.05)
  good &&= held
  const limit = world.planted === undefined ? '' : world.planted ? ' (at least 95 %)' : ' (at most 5 %)'
  console.log(`${(100 * share).toFixed(1).padStart(6)} %  ${world.what}${limit}${held ? '' : '  MISSED'}`)
}

/** Whether alpha is said to track, of models of which it says nothing. */
function isTracked(seed: number, n: number, kind: 'models' | 'groups' | 'groups, unnamed' | 'walk'): boolean {
  const random = generator(seed)
  let walk = [0, 0]
  const centres = Array.from({ length: GROUPS }, () => [2 * normal(random), 2 * normal(random)])
  const points = Array.from({ length: n }, (_, i) => {
    const g = i % GROUPS
    const drawn = [normal(random), normal(random)]
    walk = walk.map((at, k) => at + drawn[k])
    const [x, y] = kind === 'walk' ? walk : kind === 'models' ? drawn : drawn.map((value, k) => value + centres[g][k])
    const group = kind === 'groups' ? String(g) : undefined
    return { name: `${i}`, group, step: undefined, target: y, metrics: new Map([['alpha', x]]) }
  })
  const target = { name: 'error', better: 'lower' } as const
  return judgeSeries({ target, points, directions: new Map(), ignored: [] }).metrics[0].state === 'tracks'
}

console.log('\n“tracks”, where the metric says nothing\n')
for (const [what, n, kind, most] of [
  ['8 models', 8, 'models', 0.05],
  ['12 models', 12, 'models', 0.05],
  ['24 models', 24, 'models', 0.05],
  ['96 models in 4 groups that lie apart', 96, 'groups', 0.05],
  ['the same, without their groups (why to name them)', 96, 'groups, unnamed', 1],
  ['27 moments of a random walk, without their steps (why to name them)', 27, 'walk', 1],
] as const) {
  let called = 0
  for (let seed = 1; seed <= SEEDS; seed++) if (isTracked(seed, n, kind)) called++
  const held = called / SEEDS <= most
  good &&= held
  const limit = most < 1 ? ' (at most 5 %)' : ''
  console.log(`${((100 * called) / SEEDS).toFixed(1).padStart(6)} %  ${what}${limit}${held ? '' : '  MISSED'}`)
}
process.exitCode = good ? 0 : 1
