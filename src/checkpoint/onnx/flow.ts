import type { Operator } from './types.ts'

/** Nodes that hand their first input on as it is, and those that only change its dimensions. */
export const PASSING = new Set(['Identity', 'DequantizeLinear', 'CastLike', 'Dropout'])
export const RESHAPING = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'])
/** Nodes whose graphs take values from around them without naming them as inputs. */
const CONTROL = new Set(['If', 'Loop', 'Scan', 'SequenceMap'])

/** Whether a node hands its first input on, turned, reshaped or in another type. */
export function isFollowed(op: string): boolean {
  return op === 'Transpose' || op === 'Cast' || op === 'QuantizeLinear' || PASSING.has(op) || RESHAPING.has(op)
}

/** The nodes that take each value. */
export type Users = ReadonlyMap<string, readonly Operator[]>

export function usersOf(operators: readonly Operator[]): Users {
  const users = new Map<string, Operator[]>()
  for (const operator of operators) {
    for (const input of new Set(operator.inputs)) {
      const known = users.get(input)
      if (known) known.push(operator)
      else users.set(input, [operator])
    }
  }
  return users
}

/** The values that are stored, and those that nodes make of them alone, in whatever order the nodes stand. */
export function constantsOf(
  operators: readonly Operator[],
  users: Users,
  stored: Iterable<string>,
): ReadonlySet<string> {
  const constants = new Set(stored)
  const missing = new Map<Operator, number>()
  const left = [...constants]
  const finish = ({ outputs }: Operator) => {
    for (const output of outputs) {
      if (output === '' || constants.has(output)) continue
      constants.add(output)
      left.push(output)
    }
  }
  for (const operator of operators) {
    if (CONTROL.has(operator.op)) continue
    if (operator.op === 'Constant') finish(operator)
    else missing.set(operator, needed(operator).size)
  }
  for (const value of left) {
    for (const operator of users.get(value) ?? []) {
      const count = missing.get(operator)
      if (count === undefined || !needed(operator).has(value)) continue
      missing.set(operator, count - 1)
      if (count === 1) finish(operator)
    }
  }
  return constants
}

/** Of a node that hands its first input on that one, whatever the others say of its form. */
function needed({ op, inputs }: Operator): ReadonlySet<string> {
  return new Set((isFollowed(op) ? inputs.slice(0, 1) : inputs).filter(input => input !== ''))
}
