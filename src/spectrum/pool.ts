import { availableParallelism, freemem } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { Tensor } from '../checkpoint/types.ts'
import { LayerError, type LayerErrorCode, UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { cost, evaluationCost, evaluationMemory, matricesOf, type Recipe, scanCost } from '../recipe/recipe.ts'
import type { Values } from '../recipe/values.ts'
import { type Called, Computer, type Procedures, type Result, type Task } from './computer.ts'
import type { Engine, Scan, SpectralNorms, Spectrum } from './engine.ts'
import { Kernel } from './kernel.ts'
import wasm from './kernel.wasm'
import { normCost, residentBytes } from './resident.ts'
import { footprint } from './source.ts'
import { UnpackedTensors } from './unpacked.ts'
import type { WeightStatistics } from './weights.ts'

/** What it answers. */
export type Answer =
  | { readonly id: number; readonly kind: 'work'; readonly share: number }
  | { readonly id: number; readonly kind: 'done'; readonly result: Result }
  | { readonly id: number; readonly kind: 'failed'; readonly failure: Failure }

type Failure =
  | { readonly type: 'layer'; readonly code: LayerErrorCode; readonly message: string }
  | { readonly type: 'checkpoint'; readonly message: string; readonly remedy: string }
  | { readonly type: 'internal'; readonly message: string }

/** Who asked knows which. */
type AnyResult = Scan & Spectrum & SpectralNorms & WeightStatistics & Called

interface Job {
  readonly task: Task
  readonly cost: number
  readonly bytes: number
  readonly onWork: (share: number) => void
  readonly resolve: (result: AnyResult) => void
  readonly reject: (error: Error) => void
}

/** Multiply-adds below which threads are not worth their start: about 20 ms. */
const WORTH_A_THREAD = 2e8
/** Share of the memory that is free at the start which all workers together may take. */
const MEMORY_SHARE = 0.8

/**
 * The kernel on worker threads: one recipe a worker, the longest first, as many at once as there are cores and memory for. The
 * numbers do not depend on how many there are. A worker that dies takes its own recipe with it and no other. What is done in a blink
 * is done on the thread at hand.
 */
export class WorkerPool implements Engine {
  readonly #script: URL
  readonly #size: number
  readonly #procedures: Procedures
  readonly #memory: number
  readonly #queue: Job[] = []
  readonly #idle: Worker[] = []
  readonly #busy = new Map<Worker, Job>()
  readonly #unpacked = new UnpackedTensors()
  #ids = 0
  #closed = false
  #scheduled = false
  #local: Promise<Computer> | undefined

  /**
   * @param script the worker's entry
   * @param workers threads at most; as many as cores where it is not given
   * @param procedures what `call` can ask for: those that the worker's entry has
   */
  constructor(script: URL, workers = availableParallelism(), procedures: Procedures = {}) {
    this.#script = script
    this.#size = workers
    this.#procedures = procedures
    this.#memory = MEMORY_SHARE * (process.availableMemory?.() ?? freemem())
  }

  scan(tensor: Tensor, again = false): Promise<Scan> {
    const scan = (into?: number) => {
      const task = { id: ++this.#ids, kind: 'scan', of: tensor, into } as const
      return this.#enqueue(task, scanCost(tensor), limits.spectrum.chunkBytes)
    }
    return again ? this.#unpacked.unpacking(tensor, scan) : scan()
  }

  spectrum(recipe: Recipe, onWork?: (share: number) => void): Promise<Spectrum> {
    return this.#unpacked.using(recipe.values, values => {
      const of = { ...recipe, values }
      return this.#enqueue({ id: ++this.#ids, kind: 'spectrum', of }, cost(of), memoryOf(of), onWork)
    })
  }

  spectralNorm(recipe: Recipe, onWork?: (share: number) => void): Promise<SpectralNorms> {
    return this.#unpacked.using(recipe.values, values => {
      const of = { ...recipe, values }
      const bytes = Math.max(memoryOf(of), residentBytes(of))
      return this.#enqueue({ id: ++this.#ids, kind: 'spectral-norm', of }, normCost(of), bytes, onWork)
    })
  }

  weights(values: Values): Promise<WeightStatistics> {
    return this.#unpacked.using(values, of => {
      const bytes = evaluationMemory(of, limits.spectrum.chunkBytes / 8)
      return this.#enqueue({ id: ++this.#ids, kind: 'weights', of }, evaluationCost(of), bytes)
    })
  }

  async call(name: string, argument: unknown, cost: number, onWork?: (share: number) => void): Promise<unknown> {
    return (await this.#enqueue({ id: ++this.#ids, kind: 'call', name, of: argument }, cost, 0, onWork)).returned
  }

  /** What is still asked for is never answered: nobody waits for it any more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#queue.length = 0
    await Promise.all([...this.#idle, ...this.#busy.keys()].map(worker => worker.terminate()))
    this.#unpacked.close()
  }

  #enqueue(task: Task, cost: number, bytes: number, onWork: (share: number) => void = () => {}): Promise<AnyResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ task, cost, bytes, onWork, resolve, reject })
      if (this.#scheduled) return
      this.#scheduled = true
      // After all that are asked for in this turn are in the queue, so that the longest can go first.
      queueMicrotask(() => {
        this.#scheduled = false
        if (this.#closed) return
        this.#queue.sort((a, b) => b.cost - a.cost || a.task.id - b.task.id)
        const total = this.#queue.reduce((sum, job) => sum + job.cost, 0)
        if (total < WORTH_A_THREAD && this.#busy.size === 0) void this.#runHere(this.#queue.splice(0))
        else this.#dispatch()
      })
    })
  }

  async #runHere(jobs: readonly Job[]): Promise<void> {
    this.#local ??= Kernel.create(wasm).then(kernel => new Computer(kernel, this.#procedures))
    for (const { task, onWork, resolve, reject } of jobs) {
      const computer = await this.#local
      if (this.#closed) return
      await computer.perform(task, onWork).then(result => resolve(result as AnyResult), reject)
    }
  }

  #dispatch(): void {
    while (!this.#closed && this.#queue.length > 0 && this.#busy.size < this.#size) {
      const taken = [...this.#busy.values()].reduce((sum, job) => sum + job.bytes, 0)
      const next = this.#queue.findIndex(job => this.#busy.size === 0 || taken + job.bytes <= this.#memory)
      if (next < 0) return
      const [job] = this.#queue.splice(next, 1)
      const worker = this.#idle.pop() ?? this.#start()
      this.#busy.set(worker, job)
      worker.postMessage(job.task)
    }
  }

  #start(): Worker {
    const worker = new Worker(this.#script)
    worker.on('message', (answer: Answer) => this.#receive(worker, answer))
    worker.on('error', error => this.#lose(worker, error.message))
    worker.on('exit', code => this.#lose(worker, `exit code ${code}`))
    return worker
  }

  #receive(worker: Worker, answer: Answer): void {
    const job = this.#busy.get(worker)
    if (job?.task.id !== answer.id) return
    if (answer.kind === 'work') {
      job.onWork(answer.share)
      return
    }
    this.#busy.delete(worker)
    this.#idle.push(worker)
    if (answer.kind === 'done') job.resolve(answer.result as AnyResult)
    else job.reject(revive(answer.failure))
    this.#dispatch()
  }

  #lose(worker: Worker, why: string): void {
    const job = this.#busy.get(worker)
    this.#busy.delete(worker)
    if (this.#idle.includes(worker)) this.#idle.splice(this.#idle.indexOf(worker), 1)
    if (!job) return
    job.reject(
      new LayerError(
        'worker',
        `its worker died (${why}): out of memory? Lower max-evals to skip the layer, or workers to run fewer at once`,
      ),
    )
    this.#dispatch()
  }
}

/** Bytes that a recipe's largest matrix takes. */
function memoryOf(recipe: Recipe): number {
  const { window, evaluation } = footprint(recipe, Kernel.depth)
  return (
    Kernel.memoryFor(
      matricesOf(recipe).reduce((most, { n }) => Math.max(most, n), 0),
      window,
    ) + evaluation
  )
}

function revive(failure: Failure): Error {
  switch (failure.type) {
    case 'layer':
      return new LayerError(failure.code, failure.message)
    case 'checkpoint':
      return new UserError(failure.message, failure.remedy)
    case 'internal':
      return new Error(failure.message)
  }
}
