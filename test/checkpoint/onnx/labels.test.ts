import { expect, test } from 'vitest'
import { isMadeUp, Uses } from '../../../src/checkpoint/onnx/labels.ts'

test('what ONNX Runtime quantises to a few bits is called as its float is', () => {
  const uses = new Uses()
  uses.add({ name: '/l/MatMul_Q4', op: 'MatMulNBits', inputs: ['x', 'onnx::MatMul_24_Q4'], output: 'y' })
  uses.add({ name: '/o/MatMul_DQ_Q4', op: 'DequantizeLinear', inputs: ['onnx::MatMul_25_DQ_Q4'], output: 'd' })
  uses.add({ name: '/o/MatMul_matmul_Q4', op: 'MatMul', inputs: ['y', 'd'], output: 'z' })
  expect(['onnx::MatMul_24_Q4', 'onnx::MatMul_25_DQ_Q4'].map(value => uses.label(value))).toEqual([
    'l.weight',
    'o.weight',
  ])
  expect(['onnx::MatMul_24_Q4', 'onnx::MatMul_25_DQ_Q4', 'p_Q4'].map(isMadeUp)).toEqual([true, true, false])
})
