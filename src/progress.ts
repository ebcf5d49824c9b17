import cliProgress from 'cli-progress'
import { short } from './render/escape.ts'

/** Told how far an analysis is: units of work done, of how many, and the layer at hand. */
export type OnProgress = (done: number, total: number, layer: string) => void

/** A bar with the remaining time where the stream is a terminal, and nothing where it is not. */
export function progressBar(stream: NodeJS.WriteStream): OnProgress | undefined {
  if (!stream.isTTY) return undefined
  const bar = new cliProgress.SingleBar(
    {
      stream,
      clearOnComplete: true,
      hideCursor: true,
      gracefulExit: false,
      format: '{bar} {percentage} %  {eta_formatted} left  {layer}',
    },
    cliProgress.Presets.shades_classic,
  )
  // The library's own handler would stop the bar and let the work go on.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      bar.stop()
      process.kill(process.pid, signal)
    })
  }
  process.once('exit', () => bar.stop())
  return (done, total, layer) => {
    if (!bar.isActive) bar.start(total, 0, { layer: '' })
    bar.update(done, { layer: short(layer) })
    if (done >= total) bar.stop()
  }
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
