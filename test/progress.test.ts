import { PassThrough } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { progressBar } from '../src/progress.ts'

const terminal = (columns: number) => Object.assign(new PassThrough(), { isTTY: true, columns })
const watch = (stream: PassThrough, env = {}) => progressBar(stream as unknown as NodeJS.WriteStream, env)

test('an interrupt gives the terminal back and ends the process', () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
  const stream = terminal(80)
  const { onProgress } = watch(stream)
  onProgress!(1, 3, 'a')
  process.emit('SIGINT', 'SIGINT')
  expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, 'SIGINT')
  expect(stream.read().toString()).toContain('\x1b[?25h')
})

test('once stopped, the line is empty, wraps again, and stays so', () => {
  const stream = terminal(80)
  const { onProgress, stop } = watch(stream)
  onProgress!(1, 3, 'a')
  onProgress!(3, 3, 'b')
  onProgress!(3, 6, 'c')
  stop()
  const drawn: string = stream.read().toString()
  expect(drawn.lastIndexOf('\x1b[?7h')).toBeGreaterThan(drawn.lastIndexOf('\x1b[?7l'))
  expect(drawn.lastIndexOf('\x1b[?25h')).toBeGreaterThan(drawn.lastIndexOf('\x1b[?25l'))
  onProgress!(5, 6, 'd')
  expect(stream.read()).toBeNull()
})

test.each([60, 80, 120, 200])('at %d columns no line is longer', columns => {
  const stream = terminal(columns)
  const { onProgress, stop } = watch(stream)
  for (let i = 0; i < 5; i++) onProgress!(i, 1000, `model.layers.${i}.${'self_attention.'.repeat(20)}weight`)
  stop()
  const text: string = stream.read().toString()
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of a terminal
  const lines = text.split(/\x1b\[[?\d;]*[A-Za-z]|[\r\n]/)
  expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(columns)
})

test('nothing is drawn where nobody watches, or nothing can be drawn', () => {
  expect(watch(new PassThrough()).onProgress).toBeUndefined()
  expect(watch(terminal(80), { TERM: 'dumb' }).onProgress).toBeUndefined()
  expect(watch(terminal(30)).onProgress).toBeUndefined()
})
