import cliProgress from 'cli-progress'
import { short } from './render/escape.ts'

/** Told how far an analysis is: units of work done, of how many, and the layer at hand. */
export type OnProgress = (done: number, total: number, layer: string) => void

/** A bar that has to be stopped before anything else is printed, on every way out. */
export interface ProgressBar {
  readonly onProgress: OnProgress | undefined
  stop(): void
}

/** Columns of the bar at the most, and of what stands beside it: the share, the time left, the layer's least. */
const BAR = 40
const BESIDE = 26
const LEAST = 12

/** A bar with the remaining time where the stream is a terminal with room for it, and nothing where it is not. */
export function progressBar(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): ProgressBar {
  const columns = stream.columns ?? 0
  if (!stream.isTTY || env.TERM === 'dumb' || columns < BESIDE + 2 * LEAST) return { onProgress: undefined, stop() {} }
  const barsize = Math.min(BAR, columns - BESIDE - LEAST)
  const room = columns - BESIDE - barsize
  const bar = new cliProgress.SingleBar(
    {
      stream,
      barsize,
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
      format: '{bar} {percentage} %  {eta_formatted} left  {layer}',
    },
    cliProgress.Presets.shades_classic,
  )
  let over = false
  const stop = () => {
    over = true
    bar.stop()
  }
  // The library's own handler would stop the bar and let the work go on.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop()
      process.kill(process.pid, signal)
    })
  }
  const onProgress: OnProgress = (done, total, layer) => {
    if (over) return
    if (!bar.isActive) bar.start(total, 0, { layer: '' })
    bar.setTotal(total)
    bar.update(Math.min(done, total), { layer: short(layer, room) })
  }
  return { onProgress, stop }
}

/** A line every few seconds, for a log. */
export function logProgress(log: (line: string) => void, seconds = 5): OnProgress {
  let last = Date.now()
  return (done, total, layer) => {
    if (Date.now() - last < 1000 * seconds || done >= total) return
    last = Date.now()
    log(`${Math.floor((100 * done) / total)} % done, at ${short(layer)}`)
  }
}
