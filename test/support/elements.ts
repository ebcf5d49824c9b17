import { contiguous, size } from '../../src/checkpoint/types.ts'
import { shapeOf, type Values } from '../../src/recipe/values.ts'

/** The elements of each tensor, by its name, in row-major order. */
export type Numbers = Readonly<Record<string, ArrayLike<number>>>

/** All elements of described values, in row-major order. */
export function elementsOf(values: Values, numbers: Numbers): Float64Array {
  const shape = shapeOf(values)
  const strides = contiguous(shape)
  return Float64Array.from({ length: size(shape) }, (_, i) =>
    element(
      values,
      strides.map((stride, d) => Math.floor(i / stride) % shape[d]),
      numbers,
    ),
  )
}

/** An element by the meaning of the operations alone. */
function element(values: Values, index: readonly number[], numbers: Numbers): number {
  const flat = (shape: readonly number[]) => contiguous(shape).reduce((at, stride, d) => at + stride * index[d], 0)
  switch (values.op) {
    case 'tensor':
      return numbers[values.tensor.name][flat(values.tensor.shape)]
    case 'slice':
      return element(
        values.of,
        index.map((i, d) => i + values.start[d]),
        numbers,
      )
    case 'permute':
      return element(
        values.of,
        values.axes.map((_, d) => index[values.axes.indexOf(d)]),
        numbers,
      )
    case 'reshape': {
      const at = flat(values.shape)
      const shape = shapeOf(values.of)
      return element(
        values.of,
        contiguous(shape).map((stride, d) => Math.floor(at / stride) % shape[d]),
        numbers,
      )
    }
    case 'sum':
      return values.terms.reduce((total, { of, factor }) => total + factor * element(of, index, numbers), 0)
    case 'scale': {
      const by = shapeOf(values.by)
      const factor = element(
        values.by,
        index.map((i, d) => (by[d] === 1 ? 0 : i)),
        numbers,
      )
      return values.inverse ? element(values.of, index, numbers) / factor : element(values.of, index, numbers) * factor
    }
    case 'norm': {
      const shape = shapeOf(values.of)
      const strides = contiguous(shape)
      let squares = 0
      for (let i = 0; i < size(shape); i++) {
        const at = strides.map((stride, d) => Math.floor(i / stride) % shape[d])
        if (values.axis < 0 || at[values.axis] === index[values.axis]) squares += element(values.of, at, numbers) ** 2
      }
      return Math.sqrt(squares)
    }
    case 'product': {
      let total = 0
      for (let k = 0; k < shapeOf(values.left)[1]; k++)
        total += element(values.left, [index[0], k], numbers) * element(values.right, [k, index[1]], numbers)
      return values.factor * total
    }
    case 'concat': {
      const { parts, axis } = values
      let at = index[axis]
      for (const part of parts) {
        const n = shapeOf(part)[axis]
        if (at < n)
          return element(
            part,
            index.map((i, d) => (d === axis ? at : i)),
            numbers,
          )
        at -= n
      }
      throw new Error('beyond the end')
    }
    case 'shuffle':
      throw new Error('its meaning is tested apart')
  }
}
