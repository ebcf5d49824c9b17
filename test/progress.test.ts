import { PassThrough } from 'node:stream'
import { expect, test, vi } from 'vitest'
import { progressBar } from '../src/progress.ts'

test('an interrupt gives the terminal back and ends the process', () => {
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 80 })
  const report = progressBar(stream as unknown as NodeJS.WriteStream)!
  report(1, 3, 'a')
  process.emit('SIGINT', 'SIGINT')
  expect(kill).toHaveBeenCalledExactlyOnceWith(process.pid, 'SIGINT')
  expect(stream.read().toString()).toContain('\x1b[?25h')
})

test('nothing is drawn where nobody watches', () => {
  expect(progressBar(new PassThrough() as unknown as NodeJS.WriteStream)).toBeUndefined()
})
