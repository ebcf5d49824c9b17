import { parentPort } from 'node:worker_threads'
import { LayerError, UserError } from '../errors.ts'
import { PROCEDURES } from '../metrics/procedures.ts'
import { Computer, type Task } from '../spectrum/computer.ts'
import { Kernel } from '../spectrum/kernel.ts'
import wasm from '../spectrum/kernel.wasm'
import type { Answer } from '../spectrum/pool.ts'

/** What a bar shows: a layer of thousands of matrices would tell of each. */
const LEAST_SHARE = 1 / 256

const port = parentPort!
const computer = new Computer(await Kernel.create(wasm), PROCEDURES)

port.on('message', async (task: Task) => {
  const { id } = task
  const answer = (answer: Answer, transfer: ArrayBuffer[] = []) => port.postMessage(answer, transfer)
  let told = 0
  const onWork = (share: number) => {
    if (share - told < LEAST_SHARE) return
    told = share
    answer({ id, kind: 'work', share })
  }
  try {
    const result = await computer.perform(task, onWork)
    const arrays = 'matrices' in result ? result.matrices : []
    answer(
      { id, kind: 'done', result },
      arrays.map(values => values.buffer as ArrayBuffer),
    )
  } catch (error) {
    answer({ id, kind: 'failed', failure: describe(error) })
  }
})

/** An error's type would not survive the message: what is needed to make it anew. */
function describe(error: unknown): Extract<Answer, { kind: 'failed' }>['failure'] {
  if (error instanceof LayerError) return { type: 'layer', code: error.code, message: error.message }
  if (error instanceof UserError) return { type: 'checkpoint', message: error.message, remedy: error.remedy }
  return { type: 'internal', message: error instanceof Error ? (error.stack ?? error.message) : String(error) }
}
