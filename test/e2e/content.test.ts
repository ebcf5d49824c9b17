import { describe, expect, test } from 'vitest'
import type { Report } from '../../src/report/schema.ts'
import { cli } from '../support/cli.ts'
import { goldenTensor } from '../support/golden.ts'
import { type Written, writeSafetensors } from '../support/safetensors.ts'

const ones = (shape: number[]): Written => ({
  shape,
  values: new Float32Array(shape.reduce((a, b) => a * b)).fill(1),
})
const net = (more: Record<string, Written> = {}) =>
  writeSafetensors({
    'fc.weight': goldenTensor('G1'),
    'conv.weight': goldenTensor('G4'),
    'fc.bias': ones([60]),
    'bn.weight': ones([24]),
    'bn.running_var': ones([24]),
    'tiny.weight': ones([4, 4]),
    attn_mask: ones([12, 12]),
    ...more,
  })
const with_ = (written: Written, at: number, value: number): Written => {
  const values = Float32Array.from(written.values as Float32Array)
  values[at] = value
  return { ...written, values }
}

async function gate(...args: string[]) {
  const { status, stdout, stderr } = await cli(...args, '--json', '-')
  expect(stderr).toBe('')
  return { status, report: JSON.parse(stdout) as Report }
}

describe('a NaN or an infinity anywhere fails the gate, and the row says where', () => {
  test.each<[string, Written, string]>([
    ['fc.bias', with_(ones([60]), 59, Number.NaN), 'NaN at index [59]'],
    ['bn.weight', with_(ones([24]), 0, Number.POSITIVE_INFINITY), 'Infinity at index [0]'],
    ['bn.running_var', with_(ones([24]), 3, Number.NEGATIVE_INFINITY), '-Infinity at index [3]'],
    ['tiny.weight', with_(ones([4, 4]), 7, Number.NaN), 'NaN at index [1, 3]'],
    ['attn_mask', with_(ones([12, 12]), 13, Number.NaN), 'NaN at index [1, 1]'],
  ])('%s', async (name, written, where) => {
    const path = net({ [name]: written })
    for (const rules of [[], ['--fail-if', 'failed > 0', '--fail-if', 'errors > 0']]) {
      const { status, report } = await gate(path, '--baseline', net(), ...rules)
      expect(status).toBe(1)
      expect(report.models[0].skipped.find(({ tensor }) => tensor === name)?.non_finite).toBe(where)
      expect(report.models[0].summary.non_finite).toBe(1)
      expect(report.verdict?.status).toBe('failed')
      expect(report.verdict?.rules.find(({ outcome }) => outcome === 'violated')).toMatchObject({
        rule: 'non_finite > 0',
        builtin: true,
        layer: name,
        reason: where,
      })
    }
    expect((await cli(path)).stdout).toMatch(new RegExp(`failed: .*${name}.*${where.replace(/[[\]]/g, '\\$&')}`))
  })

  test.each(['fake_quant.min_val', 'post.max_val', 'action_space.low'])(
    'but bounds that are infinite, %s',
    async name => {
      const path = net({ [name]: with_(ones([60]), 0, Number.NEGATIVE_INFINITY) })
      expect((await gate(path, '--baseline', path)).status).toBe(0)
      const broken = net({ [name]: with_(ones([60]), 0, Number.NaN) })
      expect((await gate(broken, '--baseline', path)).status).toBe(1)
    },
  )

  test('a layer is one row with an error, and its model has no means', async () => {
    const { status, report } = await gate(net({ 'fc.weight': with_(goldenTensor('G1'), 2, Number.NaN) }))
    expect(status).toBe(1)
    expect(report.models[0].layers.find(({ name }) => name === 'fc')).toMatchObject({
      status: 'error',
      error: { code: 'non-finite', message: 'NaN at index [0, 2]' },
    })
    expect(report.models[0].summary).toMatchObject({ alpha: null, errors: 1, non_finite: 1 })
  })

  test('but a mask is made of infinities', async () => {
    const { status, report } = await gate(net({ attn_mask: with_(ones([12, 12]), 1, Number.NEGATIVE_INFINITY) }))
    expect(status).toBe(0)
    expect(report.models[0].summary.non_finite).toBe(0)
  })
})

describe('"nothing changed" is said of equal bytes alone', () => {
  const passed = async (head: string, base = net()) => {
    const { stdout } = await cli(head, '--baseline', base)
    const { report } = await gate(head, '--baseline', base)
    return { line: stdout.trimEnd().split('\n').at(-1), tensors: report.comparison!.models[0].tensors! }
  }

  test('equal', async () => {
    const { line, tensors } = await passed(net())
    expect(line).toBe('✅ passed: nothing changed against the baseline')
    expect(tensors).toEqual({ same: true, changed: [], added: [], removed: [] })
  })

  test('a bias and a norm', async () => {
    const { line, tensors } = await passed(
      net({ 'fc.bias': with_(ones([60]), 1, 2), 'bn.weight': with_(ones([24]), 1, 2) }),
    )
    expect(tensors).toEqual({ same: false, changed: ['fc.bias', 'bn.weight'], added: [], removed: [] })
    expect(line).toContain('no spectrum changed; 2 tensors that spectra don’t show did: fc.bias, bn.weight')
  })

  test('a negated layer', async () => {
    const fc = goldenTensor('G1')
    const { line, tensors } = await passed(
      net({ 'fc.weight': { ...fc, values: (fc.values as Float32Array).map(value => -value) } }),
    )
    expect(tensors).toEqual({ same: false, changed: ['fc.weight'], added: [], removed: [] })
    expect(line).toBe('⚠️ warned: fc: its eigenvalues are those of the baseline, and its weights are not')
  })

  test('permuted columns', async () => {
    const fc = goldenTensor('G1')
    const values = Float32Array.from(fc.values as Float32Array, (_, i) => {
      const [row, column] = [Math.floor(i / 40), i % 40]
      return (fc.values as Float32Array)[row * 40 + (39 - column)]
    })
    const { tensors } = await passed(net({ 'fc.weight': { ...fc, values } }))
    expect(tensors.same).toBe(false)
  })

  test('tensors that came and went', async () => {
    const { line, tensors } = await passed(net({ 'lora.table': ones([8]) }), net({ 'old.mean': ones([9]) }))
    expect(tensors).toEqual({ same: false, changed: [], added: ['lora.table'], removed: ['old.mean'] })
    expect(line).toContain('no spectrum changed; 1 tensor came (lora.table), 1 went (old.mean)')
  })

  test('a wrapper’s prefix is no change', async () => {
    const wrapped = writeSafetensors({
      'module.fc.weight': goldenTensor('G1'),
      'module.fc.bias': ones([60]),
    })
    const plain = writeSafetensors({ 'fc.weight': goldenTensor('G1'), 'fc.bias': ones([60]) })
    expect((await passed(wrapped, plain)).tensors.same).toBe(true)
  })
})
