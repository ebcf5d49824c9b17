import { CheckpointError, quoted } from '../../errors.ts'
import { limits } from '../../limits.ts'
import type { ModelFunction, Operator } from './types.ts'

const INLINE = 'Inline its functions: onnx.inliner.inline_local_functions.'

/** The nodes of a graph with those of the functions of the model in place of their calls, to any depth. */
export class Inliner {
  readonly #path: string
  readonly #functions: ReadonlyMap<string, ModelFunction>
  readonly operators: Operator[] = []
  /** Where the tensors of the functions stand in the list, by the names that the nodes call them. */
  readonly tensors = new Map<string, number>()
  #calls = 0
  #made = 0

  /**
   * @param path of the file that errors name
   * @throws CheckpointError where functions call themselves, or stand for too many nodes
   */
  constructor(path: string, functions: ReadonlyMap<string, ModelFunction>, operators: readonly Operator[]) {
    this.#path = path
    this.#functions = functions
    for (const operator of operators) this.#add(operator, 0)
  }

  #add(operator: Operator, depth: number): void {
    const called = this.#functions.get(operator.op)
    if (called) this.#inline(operator, called, depth + 1)
    else this.operators.push(operator)
  }

  #inline(call: Operator, { inputs, outputs, operators, defaults, tensors }: ModelFunction, depth: number): void {
    const { nestingLevels, inlinedCount } = limits.onnx
    const what = `calls its function ${quoted(call.op)}`
    if (depth > nestingLevels)
      throw new CheckpointError(this.#path, `${what} in more than ${nestingLevels} others, or in itself`, INLINE)
    this.#made += operators.length
    if (this.#made > inlinedCount)
      throw new CheckpointError(
        this.#path,
        `${what} and others, which stand for more than ${inlinedCount} nodes`,
        INLINE,
      )
    const id = `${this.#calls++}/`
    const names = new Map([
      ...outputs.map((name, i) => [name, call.outputs[i] || id + name] as const),
      ...inputs.map((name, i) => [name, call.inputs[i] ?? ''] as const),
    ])
    const named = (name: string) => (name === '' ? '' : (names.get(name) ?? id + name))
    for (const [name, index] of tensors) this.tensors.set(named(name), index)
    for (const { op, inputs, outputs, numbers, references } of operators) {
      const own = new Map(numbers)
      for (const [name, reference] of references ?? []) {
        const value = call.numbers.get(reference) ?? defaults.get(reference)
        if (value) own.set(name, value)
      }
      const inlined = {
        op,
        inputs: inputs.map(named),
        outputs: outputs.map(named),
        numbers: references ? own : numbers,
      }
      this.#add(inlined, depth)
    }
  }
}
