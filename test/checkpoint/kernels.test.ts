import { expect, test } from 'vitest'
import { orientKernels } from '../../src/checkpoint/kernels.ts'
import { contiguous, type Tensor } from '../../src/checkpoint/types.ts'

const tensor = (name: string, shape: number[], more: Partial<Tensor> = {}): Tensor => {
  return {
    name,
    dtype: 'F32',
    shape,
    source: { kind: 'file', path: 'x', offset: 0, strides: contiguous(shape) },
    ...more,
  }
}

test.each<[string, number[], number[]]>([
  ['conv/kernel', [3, 3, 64, 32], [32, 64, 3, 3]],
  ['conv.kernel', [3, 5, 64, 32], [32, 64, 3, 5]],
  ['conv/kernel:0', [1, 1, 64, 32], [32, 64, 1, 1]],
  ['conv.kernel', [16, 16, 3, 32], [32, 3, 16, 16]],
  ['conv.kernel', [3, 3, 3, 3], [3, 3, 3, 3]],
  // PyTorch's, whatever it is called.
  ['conv.kernel', [64, 32, 3, 3], [64, 32, 3, 3]],
  ['conv.kernel', [64, 3, 7, 7], [64, 3, 7, 7]],
  ['conv.kernel', [17, 1, 16, 16], [17, 1, 16, 16]],
  ['conv.kernel', [31, 31, 3, 8], [8, 3, 31, 31]],
  ['conv.kernel', [64, 32, 3, 5], [5, 3, 64, 32]],
  ['conv.kernel', [64, 16, 3, 3], [64, 16, 3, 3]],
  ['conv.kernel', [64, 32, 17, 17], [17, 17, 64, 32]],
  ['a/weights', [3, 3, 64, 32], [32, 64, 3, 3]],
  ['a.weights', [3, 3, 64, 32], [3, 3, 64, 32]],
  ['conv.weight', [3, 3, 64, 32], [3, 3, 64, 32]],
  ['dense/kernel', [64, 32], [64, 32]],
])('%s [%s] is [%s]', (name, shape, wanted) => {
  expect(orientKernels([tensor(name, shape)])[0]!.shape).toEqual(wanted)
})

test.each<Partial<Tensor>>([{ skip: 'x' }, { broken: 'x' }, { companion: true }])('%o stays as it is', more => {
  expect(orientKernels([tensor('conv/kernel', [3, 3, 64, 32], more)])[0]!.shape).toEqual([3, 3, 64, 32])
})
