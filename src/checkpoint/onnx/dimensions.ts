import { limits } from '../../limits.ts'
import { unpack } from '../codecs.ts'
import { numbers } from '../quantised/codec.ts'
import { size } from '../types.ts'
import type { OnnxTensor, Operator } from './types.ts'

/** Where an operator has the dimensions that it makes: Reshape a shape, Squeeze and Unsqueeze axes. */
const GIVEN: ReadonlySet<string> = new Set(['Reshape', 'Squeeze', 'Unsqueeze'])

/**
 * The values of the tensors that say how others are reshaped, by their own names in the graph. What is made of a graph's inputs alone is
 * passed over.
 * @param constants the values that are made of tensors alone
 */
export async function dimensionsIn(
  operators: readonly Operator[],
  tensors: ReadonlyMap<string, OnnxTensor>,
  constants: ReadonlySet<string>,
): Promise<Map<string, readonly number[]>> {
  const wanted = new Set<string>()
  for (const { op, inputs } of operators) {
    if (op === 'Concat') for (const input of inputs) wanted.add(input)
    const [data = '', name = ''] = inputs
    if (GIVEN.has(op) && constants.has(data)) wanted.add(name)
  }
  const found = new Map<string, readonly number[]>()
  for (const name of wanted) {
    const tensor = tensors.get(name)
    if (tensor?.dtype !== 'I64' || tensor.skip !== undefined || found.size === limits.onnx.shapesCount) continue
    if (size(tensor.shape) <= limits.checkpoint.dimensionsCount) found.set(name, await valuesOf(tensor))
  }
  return found
}

async function valuesOf({ source, shape }: OnnxTensor): Promise<number[]> {
  if (source.kind === 'file') {
    return Array.from(await numbers({ path: source.path, offset: source.offset, dtype: 'I64', shape }))
  }
  const values: number[] = []
  for await (const bytes of unpack(source)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at < bytes.length; at += 8) values.push(Number(view.getBigInt64(at, true)))
  }
  return values
}
