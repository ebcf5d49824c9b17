import type { Pair } from '../comparison/pair.ts'
import { keptTensors, lostTensors } from '../comparison/tensors.ts'
import { isStatistic } from '../norms.ts'
import type { Skipped } from '../report/schema.ts'
import { foldedBiases, foldedNorms } from './folded.ts'
import { containers, isAveraged, keysOf, moduleOf, OLDER } from './keys.ts'

/** What was found of a tensor without a spectrum. */
export interface Finding {
  readonly layer: string
  /** For people. */
  readonly reason: string
}

/** Growth of a bias, a norm or a largest eigenvalue that no training brings about. */
export const EXPLODED = 1000
/** The same, downwards, of a single number: on its way to another sign it passes 0. */
export const ALMOST_ZERO = 1e6

/** Tensors that became 0, or next to it; null where there is none to look at. */
export function zeroedTensors(pair: Pair): Finding[] | null {
  const least = magnitudes(pair).reduce((least, one) => Math.min(least, one || least), Number.POSITIVE_INFINITY)
  return ofKept(pair, (head, base, isNumber) => {
    if (head === 0) return base > 0 ? 'all its elements are 0' : null
    return head < least && (isNumber ? ALMOST_ZERO : EXPLODED) * head < base ? became(head, base) : null
  })
}

/** Tensors that grew as nothing does that is trained, and such that came; null where there is none to look at. */
export function explodedTensors(pair: Pair): Finding[] | null {
  const most = magnitudes(pair).reduce((most, one) => Math.max(most, one), 0)
  const kept = ofKept(pair, (head, base, isNumber) => {
    // A number that began as 0 may become any other.
    const before = isNumber ? base || most : base
    return most > 0 && head > most && head > EXPLODED * before ? became(head, base) : null
  })
  const all = pair.base?.layers.reduce((most, { sv_max }) => Math.max(most, sv_max ?? 0), most) ?? 0
  const came = cameTensors(pair).filter(
    row => all > 0 && isJudged(row) && isParameter(row) && row.largest !== undefined,
  )
  if (kept === null && came.length === 0) return null
  const reason = ({ largest }: Skipped) =>
    `it came, and its largest magnitude is ${shortly(largest!)}, where ${shortly(all)} is the most that the baseline has`
  return [
    ...(kept ?? []),
    ...came.flatMap(row => (row.largest! > EXPLODED * all ? [{ layer: row.tensor, reason: reason(row) }] : [])),
  ]
}

/** Parameters that went from beside layers that stayed, and that nothing in their module took the place of. */
export function lostParameters(pair: Pair): Skipped[] {
  const folded = foldedNorms(pair, keysOf(pair))
  return withoutCounterpart(pair).filter(row => !folded.has(moduleOf(row)))
}

/** Parameters that came beside layers that were there, and that took the place of nothing in their module. */
export function newParameters(pair: Pair): Skipped[] {
  const { head, base, matched, added } = pair
  if (base === null) return []
  const sides = matched.map(({ head, base }) => ({ head: base, base: head }))
  const came = new Set(added.map(moduleOf))
  const folded = foldedBiases(pair, keysOf(pair))
  return withoutCounterpart({ ...pair, head: base, base: head, matched: sides }).filter(
    row => !came.has(moduleOf(row)) && !folded.has(row.tensor) && !isAveraged(row) && !ROTARY.test(row.tensor),
  )
}

/** llama.cpp writes its factors since, as a weight. */
const ROTARY = /(?:^|[._])rope_/

/** Parameters of the baseline that the other side has under no name, of modules whose layers it has. */
function withoutCounterpart(pair: Pick<Pair, 'head' | 'base' | 'matched'>): Skipped[] {
  const { head, base, matched } = pair
  const had = new Set(base?.skipped.map(({ tensor }) => tensor))
  const keys = keysOf(pair)
  // Tied to one that stayed: a copy that came about since is of another.
  const tied = new Set(base?.skipped.flatMap(({ tensor, digest }) => (keys.has(tensor) ? (digest ?? []) : [])))
  // Under another name of the same parameter: transformers' older ones, or what a quantiser makes of it.
  const leafOf = ({ tensor }: Skipped) => tensor.slice(moduleOf({ tensor }).length + 1)
  const placeOf = (row: Skipped) => JSON.stringify([moduleOf(row), row.shape, OLDER[leafOf(row)] ?? leafOf(row)])
  const came = new Set(head.skipped.filter(({ tensor }) => !had.has(tensor)).map(placeOf))
  const around = new Set(matched.flatMap(({ base }) => containers(base.tensor)))
  // Packed for quantised kernels, with its bias.
  const packed = new Set(
    matched.filter(({ head }) => /_packed_params$/.test(head.tensor)).map(({ base }) => moduleOf(base)),
  )
  return lostTensors({ head, base }).filter(row => {
    const module = moduleOf(row)
    const isKept = tied.has(row.digest ?? '') || came.has(placeOf(row)) || packed.has(module)
    return isOfModule(row) && !isKept && !keys.has(row.tensor) && around.has(moduleOf({ tensor: module }))
  })
}

/** Tensors that the baseline has under none of their names. */
function cameTensors({ head, base }: Pair): Skipped[] {
  return base === null ? [] : lostTensors({ head: base, base: head })
}

/**
 * Whether it is called as the parameters of modules and the statistics of batch norms are, is none of a loss or of
 * quantisation, and more than the zeros that a bias begins as.
 */
export function isOfModule(row: Skipped): boolean {
  const { tensor, largest } = row
  if ((largest ?? 0) === 0 || isBeside(tensor)) return false
  // Of a quantised layer a scale is one number.
  return (isParameter(row) && (isNumber(row) ? WEIGHT : PARAMETER).test(tensor)) || isStatistic(tensor)
}

const WEIGHT = /(?:^|[./])(?:weight|bias|gamma|beta)$/
const PARAMETER = /(?:^|[./])(?:weight|bias|gamma|beta|scale)$/

function isParameter({ code }: Skipped): boolean {
  return code === 'rank' || code === 'size'
}

/** Whether it belongs to a loss, or to what quantises for training. */
function isBeside(tensor: string): boolean {
  return tensor
    .split(/[./]/)
    .slice(0, -1)
    .some(component => /loss|criterion|quant|observer|post_process/i.test(component))
}

function isNumber({ shape }: Skipped): boolean {
  return shape.every(n => n === 1)
}

/** Whether its magnitude is of the model: of what an optimizer keeps, and of what counts, it may be any. */
function isJudged(row: Skipped): boolean {
  if (row.code === 'optimizer' || row.code === 'excluded') return false
  return !isNumber(row) || (row.code !== 'buffer' && !isBeside(row.tensor) && !isCounter(row.tensor))
}

/** Whether a single number counts, or is a measurement, by any word of its own name. */
function isCounter(tensor: string): boolean {
  const leaf = tensor.split(/[./]/).at(-1)!
  return leaf.split('_').some(word => COUNTING.test(word))
}

const COUNTING =
  /^(?:steps?|timesteps?|counts?|counter|num|n|epochs?|iters?|iterations?|updates?|batch(?:es)?|tracked|seen|samples|frames|episodes|tokens|total|best|acc\d*|accuracy|loss|score|metric|initt?ed|initiali[sz]ed|enabled|seed|decay|lr)$/i

/** The largest magnitudes of what the baseline has beside its layers; masks and tables are none of its weights. */
function magnitudes({ base }: Pair): number[] {
  const rows = base?.skipped.filter(row => isJudged(row) && (row.code !== 'buffer' || isStatistic(row.tensor))) ?? []
  return rows.map(({ largest }) => largest ?? 0)
}

/** Of tensors that are on both sides: those that there is a reason for, by their largest magnitudes. */
function ofKept(pair: Pair, why: (head: number, base: number, isNumber: boolean) => string | null): Finding[] | null {
  const kept = keptTensors(pair).filter(({ head, base }) => {
    return isJudged(head) && head.largest !== undefined && base.largest !== undefined
  })
  if (kept.length === 0) return null
  return kept.flatMap(({ head, base }) => {
    const reason = why(head.largest!, base.largest!, isNumber(head))
    return reason === null ? [] : [{ reason, layer: head.tensor }]
  })
}

function became(head: number, base: number): string {
  return `its largest magnitude is ${shortly(head)}, ${shortly(base)} before`
}

function shortly(value: number): string {
  return String(Number(value.toPrecision(3)))
}
