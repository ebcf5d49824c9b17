import { extremes } from '../statistics.ts'

/** A linear axis: places in pixels, and ticks at 1, 2 or 5 times a power of ten. */
export interface Scale {
  readonly low: number
  readonly high: number
  readonly ticks: readonly number[]
  of(value: number): number
  /** A value with the digits that its ticks need, and so many more. */
  say(value: number, more?: number): string
}

/**
 * An axis a little wider than its values.
 * @param range in pixels, of the least and of the greatest
 * @param room share of the values' range that is left free on both sides
 * @param wanted about how many ticks
 */
export function scale(
  values: readonly number[],
  [from, to]: readonly [number, number],
  { room: share = 0.06, wanted = 6 }: { readonly room?: number; readonly wanted?: number } = {},
): Scale {
  let [least, greatest] = extremes(values.map(drawable))
  if (!(greatest > least)) {
    if (values.length === 0) [least, greatest] = [0, 0]
    const around = Math.abs(least) / 10 || 1
    ;[least, greatest] = [least - around, greatest + around]
  }
  const room = (greatest - least) * share
  const [low, high] = [least - room, greatest + room]
  const step = niceStep((high - low) / wanted)
  const first = Math.ceil(low / step)
  const count = Math.floor(high / step) - first + 1
  const ticks = Array.from({ length: Math.max(0, Math.min(100, count)) }, (_, i) => (first + i) * step)
  const decimals = Math.max(0, Math.min(12, -Math.floor(Math.log10(step) + 1e-9)))
  const large = Math.max(Math.abs(low), Math.abs(high)) >= 1e6 || step < 1e-6
  return {
    low,
    high,
    ticks,
    of: value => from + ((drawable(value) - low) / (high - low)) * (to - from),
    say: (value, more = 0) =>
      (large ? value.toExponential(2 + more) : value.toFixed(Math.min(20, decimals + more)))
        .replace(/^-(0(?:\.0*)?)$/, '$1')
        .replace('-', '−'),
  }
}

/** Differences of what is drawn are no more than a double holds. */
function drawable(value: number): number {
  return Math.max(-1e300, Math.min(1e300, value))
}

function niceStep(rough: number): number {
  const power = Number(`1e${Math.floor(Math.log10(rough))}`)
  return [1, 2, 5, 10].map(factor => factor * power).find(step => step >= rough * 0.999) ?? 10 * power
}

/** Pixels, to a tenth. */
export function at(pixels: number): string {
  return String(Math.round(pixels * 10) / 10)
}
