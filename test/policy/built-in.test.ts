import { describe, expect, test } from 'vitest'
import { compare } from '../../src/comparison/compare.ts'
import { isAcceptable } from '../../src/policy/accept.ts'
import { BUILT_IN_NAMES, IGNORABLE } from '../../src/policy/built-in.ts'
import { judge } from '../../src/policy/judge.ts'
import type { Layer, Model, Skipped } from '../../src/report/schema.ts'
import { defaults } from '../support/analyse.ts'
import { layer, model } from '../support/models.ts'

/** n = 64 eigenvalues, N = 64: √(nN) = 64. */
const tail = (name: string, more: Partial<Layer> = {}) =>
  layer(name, 3, { alpha_hill: 3, S: 8, quantiles: [0, 1], ...more })

function verdict(head: Layer[], base: Layer[], ignore: string[] = []) {
  return verdictOf(model('net', head), model('net', base), ignore)
}

function verdictOf(head: Model, base: Model, ignore: string[] = []) {
  const { pairs } = compare([head], defaults, { path: 'b', kind: 'report', options: defaults, models: [base] })
  return judge({ rules: [], ignore, enforce: true }, pairs, { cause: '' })
}
const broken = (head: Layer[], base: Layer[]) => verdict(head, base).rules.map(({ name, rule }) => name ?? rule)

const skipped = (tensor: string, largest: number, code: Skipped['code'] = 'rank'): Skipped => {
  return { tensor, shape: [64], dtype: 'F32', code, reason: '', largest }
}

const number = (tensor: string, largest: number, code: Skipped['code'] = 'rank'): Skipped => {
  return { ...skipped(tensor, largest, code), shape: [1] }
}

/** A spectrum that is another than [0, 1], as far as seeds move it. */
const MOVED = { quantiles: [0, 1.01] }

/** ln[(alpha − 1)/2] for a base of 3. */
const hill = (change: number) => 1 + 2 * Math.exp(change)

test.each<[string, Partial<Layer>, Partial<Layer>, RegExp]>([
  ['exploded', { log_spectral_norm: 4.26 }, {}, /^its largest eigenvalue is 10\^3\.3 times the baseline’s$/],
  ['lighter-tail', { alpha_hill: hill(0.2) }, {}, /^the tails became lighter by 0\.20; retrained seeds/],
  ['heavier-tail', { alpha_hill: hill(-0.2) }, {}, /^the tails became heavier by 0\.20: more was learned/],
  ['moved-norm', { log_norm: 1.8 }, {}, /^the weights are smaller: log_norm moved by −0\.20 in the mean$/],
  ['pruned', { zeros: 0.6 }, { zeros: 0.01 }, /^60 % of its weights are 0, 1 % before/],
])('%s says what was found', (name, head, base, reason) => {
  const [now, before] = [head, base].map(more => ['a', 'b', 'c', 'd'].map(name => tail(name, more)))
  const found = verdict(now, before)
  expect(found.rules.find(rule => rule.name === name)?.reason).toMatch(reason)
  expect(found.held).not.toContain(name)
})

test('what an adapter adds grows from zeros, and explodes where it is more than any weight has', () => {
  const grown = (log_spectral_norm: number, tensor: string) => {
    const [now, before] = [log_spectral_norm, -6].map(norm =>
      ['a', 'b', 'c', 'd'].map(name => tail(name, { tensor: name + tensor, log_spectral_norm: norm })),
    )
    return broken(now!, before!).includes('exploded')
  }
  expect(grown(0.5, '.lora_B.weight')).toBe(false)
  expect(grown(3, '.lora_B.weight')).toBe(false)
  expect(grown(3.01, '.lora_B.weight')).toBe(true)
  expect(grown(0.5, '.weight')).toBe(true)
})

describe('each rule holds on its threshold, and breaks beyond it', () => {
  test.each<[string, Partial<Layer>, Partial<Layer>, string[]]>([
    ['nothing', {}, {}, []],
    ['λmax a thousand times larger', { log_spectral_norm: 4 }, {}, []],
    ['λmax more than a thousand times larger', { log_spectral_norm: 4.01 }, {}, ['exploded']],
    ['a tail that is lighter', { alpha_hill: hill(0.151) }, {}, ['lighter-tail']],
    ['a tail that is slightly lighter', { alpha_hill: hill(0.149) }, {}, ['slightly-lighter-tail']],
    ['a tail as seeds have it', { alpha_hill: hill(0.099) }, {}, []],
    [
      'a tail below 2 that rises',
      { alpha_hill: 1 + 0.9 * Math.exp(0.2) },
      { alpha_hill: 1.9 },
      ['slightly-lighter-tail'],
    ],
    ['a tail that is heavier', { alpha_hill: hill(-0.141) }, {}, ['heavier-tail']],
    ['a tail heavier as seeds have it', { alpha_hill: hill(-0.139) }, {}, []],
    ['a spectrum that moved', { quantiles: [0, 1 + 2 * (0.021 + 1 / 64)] }, {}, ['moved-spectrum']],
    ['a spectrum that moved a little', { quantiles: [0, 1 + 2 * (0.019 + 1 / 64)] }, {}, []],
    ['larger weights', { ...MOVED, log_norm: 2.11 }, {}, ['moved-norm']],
    ['smaller weights', { ...MOVED, log_norm: 1.89 }, {}, ['moved-norm']],
    ['weights that were multiplied', { log_norm: 2.11 }, {}, ['rescaled-weights', 'moved-norm']],
    ['weights of about the same size', { log_norm: 2.09 }, {}, []],
    [
      'a lighter tail of other weights',
      { ...MOVED, log_norm: 2.31, alpha_hill: hill(0.2) },
      {},
      ['slightly-lighter-tail', 'moved-norm'],
    ],
    [
      'alpha below 2, with its tail',
      { alpha: 1.99, alpha_hill: hill(-0.21) },
      {},
      ['heavier-tail', 'newly-over-trained'],
    ],
    ['alpha below 2 by chance', { alpha: 1.99, alpha_hill: hill(-0.11) }, {}, []],
    ['alpha on 2', { alpha: 2, alpha_hill: hill(-0.21) }, {}, ['heavier-tail']],
    ['alpha below 2 before', { alpha: 1.5, alpha_hill: hill(-0.21) }, { alpha: 1.9 }, ['heavier-tail']],
    ['rounded weights', { row_levels: 15 }, {}, ['rounded']],
    ['pruned weights', { zeros: 0.3 }, {}, ['pruned']],
    ['random weights', { S: 2.3, quantiles: [0, 1.1] }, {}, ['lost-structure', 'moved-spectrum']],
    ['almost random weights', { S: 2.31, quantiles: [0, 1.1] }, {}, ['moved-spectrum']],
    ['random before, too', { S: 1, quantiles: [0, 1.1] }, { S: 2.3 }, ['moved-spectrum']],
    ['random, but the spectrum is the same', { S: 2.3, quantiles: [0, 1.08] }, {}, ['moved-spectrum']],
    [
      'random, of another norm, and hardly structured before',
      { S: 2.3, quantiles: [0, 1.1], log_norm: 2.41 },
      { S: 10 },
      ['lost-structure-and-norm', 'moved-spectrum', 'moved-norm'],
    ],
    [
      'random, of another norm, and plainly structured before',
      { S: 2.3, quantiles: [0, 1.1], log_norm: 2.41 },
      { S: 10.1 },
      ['lost-structure', 'moved-spectrum', 'moved-norm'],
    ],
  ])('%s', (_, head, base, names) => {
    const both = (more: Partial<Layer>) => ['a', 'b'].map(name => tail(name, more))
    expect(broken(both(head), both(base))).toEqual(names)
  })

  test('a lighter tail of few eigenvalues in all warns', () => {
    const lighter = (num_evals: number) => broken([tail('a', { num_evals, alpha_hill: 9 })], [tail('a', { num_evals })])
    expect(lighter(99)).toEqual(['slightly-lighter-tail'])
    expect(lighter(100)).toEqual(['lighter-tail'])
  })

  test('a layer that died', () => {
    const dead = layer('a', null, { lambda_max: 0 })
    const { rules, status } = verdict([dead, tail('b')], [tail('a'), tail('b')])
    expect(status).toBe('failed')
    expect(rules.find(({ name }) => name === 'dead-layer')).toMatchObject({
      value: 1,
      layer: 'a',
      reason: 'all its eigenvalues are 0',
    })
    expect(broken([dead, tail('b')], [dead, tail('b')])).toEqual(['failed > 0'])
  })

  test('a layer that wakes up explodes only beyond all others', () => {
    const asleep = tail('a', { log_spectral_norm: -9 })
    const others = [tail('b', { log_spectral_norm: 2 }), tail('c')]
    expect(broken([tail('a', { log_spectral_norm: 1.9 }), ...others], [asleep, ...others])).toEqual([])
    expect(broken([tail('a', { log_spectral_norm: 2.1 }), ...others], [asleep, ...others])).toEqual(['exploded'])
  })

  test('layers that went, and layers of another shape', () => {
    const wide = tail('c', { shape: [128, 64] })
    expect(broken([tail('a'), tail('b'), wide], [tail('a'), tail('b'), tail('c')])).toEqual(['reshaped'])
    expect(broken([tail('a'), tail('b')], [tail('a'), tail('b'), tail('c')])).toEqual(['lost-layers'])
    expect(broken([tail('a')], [tail('x')])).toEqual(['unrelated'])
  })
})

describe('what no spectrum shows', () => {
  const weights = (name: string, digest: string, more: Partial<Layer> = {}) =>
    tail(name, { digest: digest.repeat(64), ...more })
  const base = [weights('a', '1'), weights('b', '2'), weights('c', '3')]

  test('layers that changed places, or were copied', () => {
    const rules = verdict([weights('a', '2'), weights('b', '1'), weights('c', '3')], base).rules
    expect(rules).toMatchObject([
      { name: 'exchanged-weights', level: 'warn', value: 2, layer: 'a', reason: 'it has the weights that b had' },
    ])
    expect(broken([weights('a', '2'), weights('b', '2'), weights('c', '3')], base)).toEqual(['exchanged-weights'])
    expect(broken([weights('a', '4'), weights('b', '5'), weights('c', '3')], base)).toEqual([])
    expect(broken(base, base)).toEqual([])
    expect(broken([tail('a'), tail('b'), tail('c')], base)).toEqual([])
  })

  test('layers that changed places and type', () => {
    const cast = (name: string, digest: string, ...sketch: number[]) => weights(name, digest, { sketch })
    const before = [cast('a', '1', 1, 0), cast('b', '2', 0, 1), cast('c', '3', 1, 1)]
    const exchanged = [cast('a', '4', 0.04, 1), cast('b', '5', 1, -0.04), cast('c', '6', 1, 1.01)]
    expect(verdict(exchanged, before).rules).toMatchObject([
      { name: 'exchanged-weights', value: 2, layer: 'a', reason: 'it has the weights that b had' },
    ])
    expect(broken([cast('a', '4', 0.06, 1), ...exchanged.slice(2)], before.slice(0, 3))).not.toContain(
      'exchanged-weights',
    )
    const other = { ...before[1], shape: [32, 64] }
    expect(broken([exchanged[0], { ...other, digest: '7'.repeat(64) }], [before[0], other])).not.toContain(
      'exchanged-weights',
    )
  })

  describe('names that a framework goes by', () => {
    const names = (head: Layer[], base: Layer[]) => broken(head, base).filter(name => name === 'other-names')
    const keyed = (...keys: string[]) => keys.map((key, i) => tail(`l${i}`, { tensor: `${key}.weight` }))

    test.each<[string, Layer[], string[]]>([
      ['the same', keyed('a.x', 'a.y'), []],
      ['a prefix of torch.compile', keyed('_orig_mod.a.x', '_orig_mod.a.y'), ['other-names']],
      ['a prefix within one', keyed('a.x', 'a._orig_mod.y'), ['other-names']],
    ])('%s', (_, head, found) => expect(names(head, keyed('a.x', 'a.y'))).toEqual(found))

    test('another name of the parameter is another layout of the same', () => {
      expect(names([tail('x', { tensor: 'x.qweight' })], [tail('x')])).toEqual([])
    })

    test('says both keys', () => {
      const found = verdict(keyed('module.a.x'), keyed('a.x')).rules.find(({ name }) => name === 'other-names')
      expect(found?.reason).toBe('its key is "module.a.x.weight", "a.x.weight" before')
    })

    test.each<[string, string, string[], number?]>([
      ['the end of one that is there', 'x', ['other-names']],
      ['one that is there as its end', 'model.a.x', ['other-names']],
      ['the same of another shape', 'model.a.x', [], 66],
      ['an average', 'model_ema.a.x', []],
      ['another', 'b.z', []],
      ['the end of a component', 'ax', []],
    ])('a layer that came: %s', (_, key, found, columns = 65) => {
      const there = [tail('a.x', { shape: [64, 65] }), ...keyed('c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm')]
      expect(names([...there, tail(key, { shape: [64, columns] })], there)).toEqual(found)
    })

    test('a parameter without a module is no end of others', () => {
      const there = [tail('a.x', { shape: [64, 65] }), ...keyed('c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l')]
      expect(names([...there, tail('w', { tensor: 'weight', shape: [64, 65] })], there)).toEqual([])
    })

    test('what weight_norm became is called after the same module', () => {
      const [old, now] = ['a.x.weight_v', 'a.x.parametrizations.weight.original1'].map(tensor =>
        tail('a.x', { tensor }),
      )
      expect(names([now], [old])).toEqual([])
      expect(names([now], [tail('a.x', { tensor: 'a.y.weight_v' })])).toEqual(['other-names'])
    })

    test('places of Keras: tensors without a spectrum alone', () => {
      const of = (...tensors: string[]) => ({
        ...model('net', [tail('x', { place: '0/0' })]),
        skipped: tensors.map((tensor, i) => ({ ...skipped(tensor, 1), place: `1/${i}` })),
      })
      const found = verdictOf(of('b', 'a'), of('a', 'b')).rules.find(({ name }) => name === 'other-names')
      expect(found).toMatchObject({ value: 2, layer: 'b', reason: expect.stringContaining('"a" has in the baseline') })
    })

    test('what rename says is meant', () => {
      const [head, base] = [model('net', [tail('b.x')]), model('net', [tail('a.x')])]
      const { pairs } = compare(
        [head],
        defaults,
        { path: 'b', kind: 'report', options: defaults, models: [base] },
        [],
        [{ from: 'a.', to: 'b.' }],
      )
      expect(judge({ rules: [], ignore: [], enforce: true }, pairs, { cause: '' }).rules).toEqual([])
    })

    test.each([
      ['net.pt', 0],
      ['a/net.ckpt', 0],
      ['net', 1],
      ['net-3.1/pytorch_model.bin', 1],
    ])('a pickle is loaded as its program likes, but one of transformers: %s', (path, count) => {
      const of = (layers: Layer[]): Model => {
        const one = model('net', layers)
        return { ...one, source: { ...one.source, path, format: 'torch-zip' } }
      }
      expect(verdictOf(of(keyed('module.a.x')), of(keyed('a.x'))).rules).toHaveLength(count)
    })
  })

  describe('batch norms that went', () => {
    const net = (norms: Record<string, number>, tensors: string[]): Model => {
      const one = model(
        'net',
        Object.entries(norms).map(([name, log_spectral_norm]) => tail(name, { log_spectral_norm })),
      )
      return { ...one, skipped: tensors.map(tensor => skipped(tensor, LARGEST[tensor] ?? 1)) }
    }
    const LARGEST: Record<string, number> = { 'a.bn.weight': 100, 'b.bn.weight': 10, 'c.ln.weight': 1e6 }
    const NORMS = ['a.bn.running_var', 'a.bn.weight', 'b.bn.running_var', 'b.bn.weight']
    const base = net({ a: 1, b: 1, c: 1 }, [...NORMS, 'c.ln.weight'])
    const exploded = (head: Model) => verdictOf(head, base).rules.find(({ name }) => name === 'exploded')?.layer

    test('are no explosion of the layers into which they were folded', () => {
      expect(exploded(net({ a: 4.01, b: 9.9, c: 1 }, ['a.bias', 'b.bias', 'c.bias']))).toBeUndefined()
      expect(exploded(net({ a: 4.01, b: 1, c: 1 }, ['a.bias', ...NORMS.slice(2)]))).toBeUndefined()
    })

    test('are none of a layer whose bias is the same, or has other channels', () => {
      const digest = '1'.repeat(64)
      const grown = net({ a: 4.01, b: 1, c: 1 }, [])
      const bias = { ...skipped('a.bias', 1), digest }
      const before = { ...base, skipped: [...base.skipped, bias] }
      const found = (head: Skipped) =>
        verdictOf({ ...grown, skipped: [head] }, before).rules.find(({ name }) => name === 'exploded')?.layer
      expect(found(bias)).toBe('a')
      expect(found({ ...bias, digest: '2'.repeat(64) })).toBeUndefined()
      expect(found({ ...bias, digest: '2'.repeat(64), shape: [10] })).toBe('a')
    })

    test('are not those of a model whose keys have another beginning', () => {
      const prefixed = net(
        { a: 4.01, b: 1, c: 1 },
        ['a.bias', ...NORMS].map(name => `net.main.${name}`),
      )
      const layers = prefixed.layers.map(one => ({ ...one, tensor: `net.main.${one.tensor}` }))
      const before = net({ a: 1, b: 1, c: 1 }, ['a.bias', ...NORMS])
      expect(verdictOf({ ...prefixed, layers }, before).rules.map(({ name }) => name)).toContain('exploded')
    })

    test.each<[string, Record<string, number>, string[], string]>([
      ['no bias came', { a: 4.01, b: 1, c: 1 }, [], 'a'],
      ['the biases are of others', { a: 4.01, b: 1, c: 1 }, ['c.bias'], 'a'],
      ['only the variance went', { a: 4.01, b: 1, c: 1 }, ['a.bias', 'a.bn.weight', ...NORMS.slice(2)], 'a'],
      ['all stay', { a: 4.01, b: 1, c: 1 }, ['a.bias', ...NORMS], 'a'],
      ['more layers grew', { a: 4.01, b: 4.01, c: 4.02 }, ['a.bias', 'b.bias', 'c.bias'], 'c'],
      ['another layer grew as well', { a: 4.01, b: 4.01, c: 4.02 }, ['a.bias', 'b.bias'], 'c'],
      ['one layer grew more than a norm scales by', { a: 4.01, b: 10.1, c: 1 }, ['a.bias', 'b.bias'], 'b'],
      ['what came is no bias', { a: 4.01, b: 1, c: 1 }, ['a.gain'], 'a'],
      ['only norms without a variance went', { a: 1, b: 1, c: 4.01 }, ['c.bias', ...NORMS], 'c'],
    ])('do not hide one where %s', (_, norms, tensors, layer) => {
      expect(exploded(net(norms, tensors))).toBe(layer)
    })
  })

  test('weights under another key of the file', () => {
    const at = (state_dict?: string): Model => {
      const one = model('net', [tail('a')])
      return { ...one, source: { ...one.source, ...(state_dict && { state_dict }) } }
    }
    const names = (head: Model, base: Model) => verdictOf(head, base).rules.map(({ name }) => name)
    expect(names(at('state_dict'), at('model'))).toEqual(['other-state-dict'])
    expect(verdictOf(at('state_dict'), at('model')).rules[0].reason).toBe(
      'the weights were found under "state_dict", those of the baseline under "model"',
    )
    for (const [head, base] of [
      [at('model'), at('model')],
      [at(), at('model')],
      [at('model'), at()],
    ])
      expect(names(head, base)).toEqual([])
  })

  test('a setting of its config that decides how weights are loaded is told', () => {
    const at = (value?: string): Model => {
      const one = model('net', [tail('a')])
      const setting = { file: 'config.json', key: 'tie_word_embeddings', value: value ?? '' }
      const settings = value === undefined ? undefined : value === '' ? [] : [setting]
      return { ...one, source: { ...one.source, ...(settings && { settings }) } }
    }
    const [found] = verdictOf(at('false'), at('true')).rules
    expect(found).toMatchObject({ name: 'other-config', level: 'warn', layer: 'config.json: tie_word_embeddings' })
    expect(found?.reason).toBe('true before, false now')
    const [gone] = verdictOf(at(''), at('true')).rules
    expect(gone).toMatchObject({ name: 'other-config', layer: 'config.json' })
    expect(gone?.reason).toBe('with settings before, gone, or without any now')
    for (const [head, base] of [
      [at('true'), at('true')],
      [at('true'), at()],
      [at(), at('true')],
      [at('true'), at('')],
    ] as const)
      expect(verdictOf(head, base).rules).toEqual([])
  })

  test('a layer that went and whose weights another has is not lost', () => {
    const tied = [weights('emb', '1'), weights('b', '2'), weights('out', '1')]
    expect(broken(tied.slice(0, 2), tied)).toEqual([])
    expect(broken(tied.slice(1, 2), tied.slice(0, 2))).toEqual(['lost-layers'])
    const many = Array.from('0123456789', digest => weights(`layer.${digest}`, digest))
    const renamed = [...many.slice(2), weights('layer.10', '0'), weights('layer.11', '1')]
    expect(broken(renamed, many)).toEqual(['lost-layers', 'new-layers'])
  })

  test('a layer that went is lost, though another was overwritten with its weights', () => {
    const head = [weights('b', '1'), weights('c', '3')]
    expect(broken(head, base)).toEqual(['lost-layers', 'exchanged-weights'])
    expect(verdict(head, base).rules.at(-1)).toMatchObject({ layer: 'b', reason: 'it has the weights that a had' })
    const many = Array.from('0123456789abcdef', digest => weights(`layer.${digest}`, digest))
    const overwritten = many.slice(4).map((layer, i) => ({ ...layer, digest: many[i % 4]!.digest }))
    expect(broken([...overwritten.slice(0, 4), ...many.slice(8)], many)).toEqual(['lost-layers', 'exchanged-weights'])
    expect(
      verdictOf(model('net', [...overwritten.slice(0, 4), ...many.slice(8)]), model('net', many)).held,
    ).not.toContain('pruned')
  })

  test('weights that were tied are one, whatever became of them', () => {
    const tied = [weights('emb', '1'), weights('b', '2'), weights('out', '1')]
    expect(broken([weights('emb', '4'), weights('b', '5')], tied)).toEqual([])
  })

  test('a layer that came is told, unless it is a copy of another or an average', () => {
    const all = Array.from('0123456789', digest => weights(`layer.${digest}`, digest))
    expect(broken([...all, weights('out', 'a')], all)).toEqual(['new-layers'])
    expect(broken([...all, weights('out', '1')], all)).toEqual([])
    expect(broken([...all, weights('ema.layer.1', 'a')], all)).toEqual([])
  })

  describe('weights with the eigenvalues of others', () => {
    const known = { digest: '1'.repeat(64), sketch: [1, 0], log_norm: 2 }
    const moved = { ...known, digest: '2'.repeat(64), sketch: [0, 1] }
    /** 0.15/√(64·64) */
    const tolerance = 0.15 / 64
    const about = { quantiles: [0, 1 + tolerance] }

    test.each<[string, Partial<Layer>, Partial<Layer>, number]>([
      ['in another order', moved, {}, 1],
      ['the same ones', known, {}, 0],
      ['without a digest', { ...moved, digest: undefined }, { digest: undefined }, 1],
      ['the same sketch', { ...moved, sketch: [1, 0] }, {}, 0],
      ['no sketch', { ...moved, sketch: [] }, {}, 0],
      ['near ones with about the same spectrum', { ...moved, sketch: [1, 0.5], ...about }, {}, 0],
      ['not so near ones with about the same spectrum', { ...moved, sketch: [1, 0.501], ...about }, {}, 1],
      ['near ones with just the same spectrum', { ...moved, sketch: [1, 0.051] }, {}, 1],
      [
        'near ones with just the same spectrum, and another norm',
        { ...moved, sketch: [1, 0.3], log_norm: 2.00001 },
        {},
        0,
      ],
      ['ones in another type', { ...moved, sketch: [1, 0.049] }, {}, 0],
      ['another spectrum', { ...moved, quantiles: [0, 1 + 2.02 * tolerance] }, {}, 0],
      ['next to the same spectrum', { ...moved, quantiles: [0, 1 + 1.98 * tolerance] }, {}, 1],
      ['no spectrum', { ...moved, quantiles: undefined }, {}, 0],
      ['another norm', { ...moved, log_norm: 2 - 1.01 * tolerance }, {}, 0],
      ['next to the same norm', { ...moved, log_norm: 2 + 0.99 * tolerance }, {}, 1],
      ['no norm', { ...moved, log_norm: null }, {}, 0],
      ['orthogonal ones', { ...moved, quantiles: [1, 1.009] }, { quantiles: [1, 1.009] }, 0],
      ['nearly orthogonal ones', { ...moved, quantiles: [1, 1.011] }, { quantiles: [1, 1.011] }, 1],
      ['few eigenvalues', { ...moved, num_evals: 2 }, { num_evals: 2 }, 0],
      ['three eigenvalues', { ...moved, num_evals: 3 }, { num_evals: 3 }, 1],
      ['a low rank', { ...moved, matrix_rank: 2 }, { matrix_rank: 2 }, 0],
      ['large matrices, to six digits', { ...moved, N: 1e9, quantiles: [0, 1 + 3.9e-6] }, { N: 1e9 }, 1],
      ['large matrices, no further', { ...moved, N: 1e9, quantiles: [0, 1 + 4.1e-6] }, { N: 1e9 }, 0],
    ])('%s', (_, head, base, value) => {
      const { rules } = verdict([tail('a', head), tail('b')], [tail('a', { ...known, ...base }), tail('b')])
      const found = rules.filter(({ name }) => name === 'rearranged-weights')
      expect(found).toMatchObject(value === 0 ? [] : [{ level: 'warn', value, layer: 'a' }])
    })

    test('exchanged layers are called so alone', () => {
      const other = { ...known, digest: '3'.repeat(64), sketch: [0, 1] }
      const names = broken([tail('a', other), tail('b', known)], [tail('a', known), tail('b', other)])
      expect(names).toEqual(['exchanged-weights'])
    })
  })

  const norms = (...rows: Skipped[]): Model => ({ ...model('net', [tail('a')]), skipped: rows })

  test.each<[string, Skipped[], Skipped[], string[]]>([
    ['nothing', [skipped('b', 1)], [skipped('b', 1)], []],
    ['a bias of zeros', [skipped('b', 0), skipped('c', 1)], [skipped('b', 1e-9), skipped('c', 1)], ['zeroed-tensors']],
    ['zeros before, too', [skipped('b', 0)], [skipped('b', 0)], []],
    ['a thousand times', [skipped('b', 1000)], [skipped('b', 1)], []],
    ['more than that', [skipped('b', 1001)], [skipped('b', 1)], ['exploded-tensors']],
    ['from 0 to what others have', [skipped('b', 2), skipped('c', 2)], [skipped('b', 0), skipped('c', 2)], []],
    ['from 0 beyond', [skipped('b', 3), skipped('c', 2)], [skipped('b', 0), skipped('c', 2)], ['exploded-tensors']],
    ['a gain that began as 0', [skipped('b', 0.9)], [skipped('b', 0)], []],
    ['a number that counts', [number('a.num_updates', 1e9)], [number('a.num_updates', 1)], []],
    ['a count from the start', [number('count', 0)], [number('count', 1)], []],
    [
      'a number of an observer',
      [number('a.weight_fake_quant.min_val', 0)],
      [number('a.weight_fake_quant.min_val', 1)],
      [],
    ],
    ['a constant of one number', [number('a.masked_bias', 1e9, 'buffer')], [number('a.masked_bias', 1, 'buffer')], []],
    ['a gate that is shut', [number('a.resweight', 0)], [number('a.resweight', 0.3)], ['zeroed-tensors']],
    ['a gate that is next to shut', [number('g', 9e-7)], [number('g', 1)], ['zeroed-tensors']],
    ['a gate that changes its sign', [number('g', 1e-5)], [number('g', 1)], []],
    ['a scale that exploded', [number('a.logit_scale', 4601)], [number('a.logit_scale', 4.6)], ['exploded-tensors']],
    ['a number that began as 0', [number('g', 900), skipped('b', 1)], [number('g', 0), skipped('b', 1)], []],
    [
      'one that began as 0 and exploded',
      [number('g', 1001)],
      [{ ...number('g', 0) }, skipped('b', 1)],
      ['exploded-tensors'],
    ],
    [
      'an explosion beside a mask',
      [skipped('b', 1e4), skipped('m', 1e9, 'buffer')],
      [skipped('b', 1), skipped('m', 1e9, 'buffer')],
      ['exploded-tensors'],
    ],
    ['one that came', [skipped('sinks', 3001)], [], ['exploded-tensors']],
    ['one that came, as large as none', [skipped('sinks', 2999)], [], []],
    ['one that came, beside larger ones', [skipped('sinks', 3001), skipped('b', 4)], [skipped('b', 4)], []],
    ['a mask that came', [skipped('m', 1e38, 'buffer')], [], []],
    ['a count that came', [number('num_updates', 1e6)], [], []],
    ['next to zeros', [skipped('b', 1e-30), skipped('c', 1)], [skipped('b', 1), skipped('c', 0.5)], ['zeroed-tensors']],
    ['less by a thousand', [skipped('b', 0.001), skipped('c', 1)], [skipped('b', 1), skipped('c', 0.5)], []],
    ['as little as others have', [skipped('b', 1e-6), skipped('c', 1e-6)], [skipped('b', 1), skipped('c', 1e-6)], []],
    ['what an optimizer keeps', [skipped('b', 1e9, 'optimizer')], [skipped('b', 1, 'optimizer')], []],
    ['what is left out', [skipped('b', 0, 'excluded')], [skipped('b', 1, 'excluded')], []],
  ])('%s', (_, head, base, names) => {
    expect(verdictOf(norms(...head), norms(...base)).rules.map(({ name }) => name)).toEqual(names)
  })

  describe('tensors that went', () => {
    const net = (rows: Skipped[], more: Partial<Layer> = {}, format = 'safetensors'): Model => {
      const one = model('net', [tail('a.fc', more), tail('b.fc', more)])
      return { ...one, source: { ...one.source, format }, skipped: rows }
    }
    const lost = (head: Model, base: Model) => verdictOf(head, base).rules.find(({ name }) => name === 'lost-tensors')
    const norm = skipped('a.norm.weight', 1)
    const digest = '1'.repeat(64)

    test('are said with the first of them', () => {
      const found = lost(net([]), net([skipped('a.fc.bias', 1), norm]))
      expect(found).toMatchObject({ value: 2, layer: 'a.fc.bias', reason: 'only the baseline has it', level: 'warn' })
    })

    test.each<[string, Skipped[], Skipped[]]>([
      ['nothing', [norm], [norm]],
      ['a buffer', [], [skipped('a.norm.weight', 1, 'buffer')]],
      ['a scale of one number', [], [number('a.fc.scale', 1)]],
      ['integers', [], [{ tensor: 'a.norm.weight', shape: [64], dtype: 'I64', code: 'dtype', reason: '' }]],
      ['zeros', [], [skipped('a.fc.bias', 0)]],
      ['a constant', [], [skipped('a.pixel_mean', 1)]],
      ['what is of a loss', [], [skipped('criterion.weight', 1)]],
      ['what is of a loss of another name', [], [skipped('ce_loss.weight', 1)]],
      ['the weights of classes', [], [skipped('a.pos_weight', 1)]],
      ['what quantises for training', [], [skipped('a.fc.weight_fake_quant.scale', 1)]],
      ['what is of a module that went', [], [skipped('head.norm.weight', 1)]],
      [
        'the same in one that stayed',
        [{ ...skipped('c.bias', 1), digest }],
        [skipped('c.bias', 1), skipped('a.fc.bias', 1)].map(row => ({ ...row, digest })),
      ],
      ['another name in the module', [skipped('a.norm.weight', 1)], [skipped('a.norm.gamma', 1)]],
      ['a wrapper', [skipped('module.a.norm.weight', 1)], [norm]],
      ['another shape', [{ ...norm, shape: [65] }], [norm]],
      [
        'a norm that was folded',
        [skipped('a.fc.bias', 1)],
        [skipped('a.bn.running_var', 1, 'buffer'), skipped('a.bn.weight', 1)],
      ],
      [
        'a norm that was folded into a bias',
        [{ ...skipped('a.fc.bias', 1), digest }],
        [skipped('a.bn.running_var', 1, 'buffer'), skipped('a.bn.weight', 1), skipped('a.fc.bias', 1)],
      ],
    ])('are not: %s', (_, head, base) => expect(lost(net(head), net(base))).toBeUndefined())

    test.each<[string, Skipped]>([
      ['the same under a name of another module', { ...skipped('a.layer_norm.weight', 1), digest }],
      ['another of its module and shape', skipped('a.norm.wait', 1)],
    ])('are, where what came is %s', (_, came) =>
      expect(lost(net([came]), net([{ ...norm, digest }]))).toMatchObject({ value: 1, layer: 'a.norm.weight' }),
    )

    test('are, though others were overwritten with them', () => {
      const [a, b] = [
        { ...norm, digest },
        { ...skipped('b.norm.weight', 1), digest: '2'.repeat(64) },
      ]
      expect(lost(net([{ ...b, digest }]), net([a, b]))).toMatchObject({ value: 1, layer: 'a.norm.weight' })
      expect(lost(net([{ ...b, digest: '3'.repeat(64) }]), net([a, { ...b, digest }]))).toBeUndefined()
    })

    test.each<[string, Skipped[], Skipped[], string | undefined]>([
      ['a prefix of their own', [skipped('module.a.norm.weight', 1)], [norm], 'module.a.norm.weight'],
      ['an older name beside the newer', [norm, skipped('a.norm.gamma', 9)], [norm], 'a.norm.gamma'],
      ['both, as before', [norm, skipped('a.norm.gamma', 9)], [norm, skipped('a.norm.gamma', 9)], undefined],
      ['the older alone', [skipped('a.norm.gamma', 1)], [norm], undefined],
    ])('are looked for by names: %s', (_, head, base, layer) => {
      const found = verdictOf(net(head), net(base)).rules.find(({ name }) => name === 'other-names')
      expect(found?.layer).toBe(layer)
    })

    test('may have another beginning, as the layers around them', () => {
      const named = (prefix: string, ...tensors: string[]) => ({
        ...net(tensors.map(tensor => skipped(`${prefix}${tensor}`, 1))),
        layers: ['a.fc', 'b.fc'].map(name => tail(name, { tensor: `${prefix}${name}.weight` })),
      })
      const base = named('', 'a.norm.weight', 'b.norm.weight')
      expect(lost(named('net.backbone.', 'a.norm.weight', 'b.norm.weight'), base)).toBeUndefined()
      expect(lost(named('net.backbone.', 'a.norm.weight'), base)).toMatchObject({ value: 1, layer: 'b.norm.weight' })
    })

    test('are, of a slope of one number', () => {
      expect(lost(net([]), net([number('a.act.weight', 0.2)]))).toMatchObject({ value: 1, layer: 'a.act.weight' })
    })

    test('are, of a batch norm that went alone', () => {
      const bias = { ...skipped('a.fc.bias', 1), digest }
      const norm = [skipped('a.bn.running_var', 1, 'buffer'), skipped('a.bn.weight', 1)]
      expect(lost(net([bias]), net([bias, ...norm]))).toMatchObject({ value: 2, layer: 'a.bn.running_var' })
    })

    test('are, of the statistics of a batch norm', () => {
      const statistics = ['mean', 'var'].map(name => skipped(`a.bn.running_${name}`, 1, 'buffer'))
      const weight = skipped('a.bn.weight', 1)
      expect(lost(net([weight]), net([weight, ...statistics]))).toMatchObject({ value: 2, layer: 'a.bn.running_mean' })
    })

    test('may be packed with the weights, or called otherwise by another framework', () => {
      const base = net([skipped('a.fc.bias', 1)])
      const packed = model(
        'net',
        ['a', 'b'].map(name => tail(`${name}.fc`, { tensor: `${name}.fc._packed_params` })),
      )
      expect(lost({ ...packed, source: base.source }, base)).toBeUndefined()
      expect(lost(net([], {}, 'torch-zip'), base)?.value).toBe(1)
      expect(lost(net([], {}, 'gguf'), base)).toBeUndefined()
      expect(lost(net([], {}, 'onnx'), net(base.skipped as Skipped[], {}, 'onnx'))).toBeUndefined()
    })
  })

  describe('tensors that came', () => {
    const net = (rows: Skipped[], layers = ['a.fc', 'b.fc'], format = 'safetensors'): Model => {
      const one = model(
        'net',
        layers.map(name => tail(name)),
      )
      return { ...one, source: { ...one.source, format }, skipped: rows }
    }
    const came = (head: Model, base: Model) => verdictOf(head, base).rules.find(({ name }) => name === 'new-tensors')
    const [bias, digest] = [skipped('a.fc.bias', 1), '1'.repeat(64)]
    const norm = [skipped('a.bn.running_var', 1, 'buffer'), skipped('a.bn.weight', 1)]

    test('are said with the first of them', () => {
      const found = came(net([bias, skipped('a.q_norm.weight', 1)]), net([]))
      expect(found).toMatchObject({ level: 'warn', value: 2, layer: 'a.fc.bias', reason: 'the baseline has none' })
      expect(came(net([bias], undefined, 'gguf'), net([]))).toBeUndefined()
    })

    test.each<[string, Model, Model]>([
      ['nothing', net([bias]), net([bias])],
      ['zeros', net([skipped('a.fc.bias', 0)]), net([])],
      ['a buffer', net([skipped('a.fc.inv_freq', 1, 'buffer')]), net([])],
      ['a count', net([number('a.bn.num_batches_tracked', 9, 'dtype')]), net([])],
      ['a scale of one number', net([number('a.fc.scale', 9)]), net([])],
      ['a newer name', net([skipped('a.norm.weight', 1)]), net([skipped('a.norm.gamma', 1)])],
      ['a wrapper', net([skipped('module.a.fc.bias', 1)]), net([bias])],
      ['of a layer that came', net([skipped('a.head.bias', 1)], ['a.fc', 'b.fc', 'a.head']), net([])],
      ['of another module', net([skipped('c.norm.weight', 1)]), net([])],
      [
        'a copy',
        net([
          { ...bias, digest },
          { ...skipped('c.x', 1), digest },
        ]),
        net([{ ...skipped('c.x', 1), digest }]),
      ],
      ['an average', net([skipped('ema.bias', 1)]), net([])],
      ['of a loss', net([skipped('criterion.weight', 1)]), net([])],
      ['factors of rotations', net([skipped('rope_factors_long.weight', 1)]), net([])],
      ['a norm that was folded', net([bias]), net(norm)],
    ])('are not: %s', (_, head, base) => expect(came(head, base)).toBeUndefined())

    test.each<[string, Model, Model]>([
      ['beside a norm of other channels', net([{ ...bias, shape: [10] }]), net(norm)],
      ['more than the norms that went', net([bias, skipped('b.fc.bias', 1)]), net(norm)],
    ])('are, %s', (_, head, base) => expect(came(head, base)).toMatchObject({ layer: 'a.fc.bias' }))
  })

  test('names the tensor, and both magnitudes', () => {
    expect(verdictOf(norms(skipped('b', 1e6)), norms(skipped('b', 0.3333))).rules).toMatchObject([
      { layer: 'b', value: 1, reason: 'its largest magnitude is 1000000, 0.333 before' },
    ])
  })
})

describe('measured rules judge one architecture alone', () => {
  const layers = (n: number, more: Partial<Layer> = {}) => Array.from({ length: n }, (_, i) => tail(`c.${i}`, more))

  test('a deeper network is not judged by them', () => {
    expect(broken(layers(6, { alpha_hill: 9, zeros: 0.5 }), layers(3))).toEqual(['resized'])
    expect(verdict(layers(6), layers(3)).held).toEqual([
      'dead-layer',
      'exploded',
      'reshaped',
      'lost-layers',
      'unrelated',
      'other-names',
      'rescaled-weights',
    ])
    const net = model('net', layers(4, { sketch: [1], digest: '1'.repeat(64) }))
    const whole = {
      ...net,
      source: {
        ...net.source,
        state_dict: 'model',
        settings: [{ file: 'config.json', key: 'model_type', value: '"bert"' }],
      },
      skipped: [skipped('bias', 1)],
    }
    const ofLowRank = ['moved-updates', 'moved-stable-rank']
    expect(verdictOf(whole, whole).held).toEqual(BUILT_IN_NAMES.filter(name => !ofLowRank.includes(name)))
  })

  test('layers of other names do not make one, as long as they have the same shapes', () => {
    const other = (n: number, shape = [64, 64]) => Array.from({ length: n }, (_, i) => tail(`other_${i}`, { shape }))
    const worse = layers(9, { zeros: 0.5 })
    const renamed = ['lost-layers', 'new-layers', 'pruned']
    expect(broken([...worse.slice(3), ...other(3)], layers(9))).toEqual(renamed)
    expect(broken([...worse.slice(3), ...other(3, [8, 8])], layers(9))).not.toContain('pruned')
    expect(broken([...worse.slice(5), ...other(5)], layers(9))).not.toContain('pruned')
  })

  test('small layers beside all that were there make no other architecture', () => {
    const small = (n: number, N = 16) => Array.from({ length: n }, (_, i) => tail(`d.${i}`, { shape: [N, N], N, M: N }))
    const worse = layers(9, { zeros: 0.5 })
    expect(broken([...worse, ...small(3)], layers(9))).toEqual(['new-layers', 'pruned'])
    expect(broken([...worse, ...small(3, 40)], layers(9))).toEqual(['resized'])
    expect(broken([...worse.slice(0, 8), ...small(3)], layers(9))).toEqual(['lost-layers'])
  })

  test.each<[string, Partial<Layer>, Partial<Layer>, string[]]>([
    ['ten times as large', { log_norm: 4.01 }, {}, ['rescaled-layer']],
    ['not quite', { log_norm: 3.99 }, {}, []],
    ['a tenth', { log_norm: -0.01 }, {}, ['rescaled-layer']],
    ['of a layer that was next to zero', { log_norm: 2 }, { log_norm: -1 }, []],
    ['of one that was small', { log_norm: 2 }, { log_norm: -0.99 }, ['rescaled-layer']],
  ])('one layer’s norm beside the others: %s', (_, more, before, rules) => {
    const rest = layers(60)
    const [head, base] = [tail('x', { ...MOVED, ...more }), tail('x', before)]
    expect(broken([head, ...rest], [base, ...rest])).toEqual(rules)
  })

  describe('a layer that has nothing of the baseline’s weights', () => {
    const other = (cosine: number, digest: string) => ({
      digest: digest.repeat(64),
      sketch: [cosine, Math.sqrt(1 - cosine * cosine)],
    })
    const stayed = (n: number, cosine = 0.9, more: Partial<Layer> = {}) =>
      layers(n, { ...MOVED, ...more, ...other(cosine, '2') })
    const earlier = (n: number, more: Partial<Layer> = {}) => layers(n, { ...more, ...other(1, '1') })
    const [noise, one] = [(cosine: number) => tail('x', { ...MOVED, ...other(cosine, '4') }), tail('x', other(1, '3'))]

    test.each<[string, Layer[], Layer[], string[]]>([
      ['noise', [noise(0.44), ...stayed(2)], [one, ...earlier(2)], ['replaced-layer']],
      ['turned signs', [noise(-0.9), ...stayed(2)], [one, ...earlier(2)], ['replaced-layer']],
      ['as far as a training goes', [noise(0.46), ...stayed(2)], [one, ...earlier(2)], []],
      ['where most went on', [noise(0), ...stayed(2, 0.81)], [one, ...earlier(2)], ['replaced-layer']],
      ['where most are another seed', [noise(0), ...stayed(2, 0.79)], [one, ...earlier(2)], []],
      ['where there is hardly any other', [noise(0), ...stayed(1)], [one, ...earlier(1)], []],
      ['that had hardly begun', [noise(0), ...stayed(2)], [{ ...one, log_norm: -1 }, ...earlier(2)], ['moved-norm']],
      [
        'in another order',
        [{ ...noise(0), quantiles: [0, 1] }, ...stayed(2)],
        [one, ...earlier(2)],
        ['rearranged-weights'],
      ],
    ])('%s', (_, head, base, rules) => {
      expect(broken(head, base)).toEqual(rules)
    })

    test('points the other way, which of few elements chance does', () => {
      const small = (all: Layer[], shape: number[]) => all.map(one => ({ ...one, shape }))
      const seeds = (cosine: number, shape: number[]) =>
        broken(small([noise(cosine), ...stayed(2, 0)], shape), small([one, ...earlier(2)], shape))
      expect(seeds(-0.62, [10, 10])).toEqual([])
      expect(seeds(-0.78, [10, 10])).toEqual(['replaced-layer'])
      expect(seeds(-0.62, [64, 64])).toEqual(['replaced-layer'])
      expect(seeds(-0.58, [64, 64])).toEqual([])
      expect(seeds(-1, [5, 5])).toEqual([])
    })

    test('is held against its own kind: what an adapter adds against what it adds', () => {
      const updates = (all: Layer[]) =>
        all.map(one => ({ ...one, name: `u.${one.name}`, tensor: `u.${one.tensor}.lora_B.weight` }))
      const young = updates([noise(0.3), ...stayed(2, 0.6)])
      expect(broken([...young, ...stayed(5)], [...updates([one, ...earlier(2)]), ...earlier(5)])).toEqual([])
      const replaced = updates([noise(0.3), ...stayed(2)])
      expect(broken([...replaced, ...stayed(5)], [...updates([one, ...earlier(2)]), ...earlier(5)])).toEqual([
        'replaced-layer',
      ])
    })
  })

  test.each<[string, number, Partial<Layer>, string[]]>([
    ['kernels of 16 channels', 0.19, { M: 16, num_evals: 144 }, []],
    ['kernels of 16 channels', 0.56, { M: 16, num_evals: 144 }, ['lighter-tail']],
    ['kernels of 16 channels', -0.19, { M: 16, num_evals: 144, alpha: 1.9 }, []],
    ['one of 64 columns', 0.19, {}, []],
    ['one of 64 columns', -0.19, {}, []],
    ['one of 64 columns', -0.21, {}, ['heavier-tail']],
    ['one of 300 columns', -0.121, { M: 300, num_evals: 300 }, ['heavier-tail']],
    ['one of 300 columns', -0.119, { M: 300, num_evals: 300 }, []],
    ['one of 300 columns', 0.16, { M: 300, num_evals: 300 }, ['lighter-tail']],
  ])('a tail is judged beyond what chance does to it: %s, %f', (_, change, more, rules) => {
    const [head, base] = [tail('x', { alpha_hill: hill(change), ...more }), tail('x', { ...more, alpha: 3 })]
    expect(broken([head], [base])).toEqual(rules)
  })

  test('one update’s norm beside the others that an adapter adds', () => {
    const updates = (all: Layer[]) =>
      all.map(one => ({ ...one, name: `u.${one.name}`, tensor: `u.${one.tensor}.lora_B.weight` }))
    const grown = (log_norm: number) =>
      updates([tail('x', { ...MOVED, log_norm }), ...layers(4, { ...MOVED, log_norm: 3 })])
    const before = [...updates([tail('x'), ...layers(4)]), ...layers(5)]
    expect(broken([...grown(4.99), ...layers(5)], before)).toEqual([])
    expect(broken([...grown(5.01), ...layers(5)], before)).toEqual(['rescaled-layer'])
  })

  test('where all norms move, none stands out, and of three none is usual', () => {
    const scaled = layers(6, { ...MOVED, log_norm: 5 })
    expect(broken(scaled, layers(6))).toEqual(['moved-norm'])
    const [first, ...rest] = layers(3, MOVED)
    expect(broken([{ ...first!, log_norm: 4.5 }, ...rest], layers(3))).toEqual(['moved-norm'])
  })

  test('norms that moved to both sides', () => {
    const scattered = (by: number) => layers(6, MOVED).map((one, i) => ({ ...one, log_norm: 2 + (i % 2 ? by : -by) }))
    expect(broken(scattered(0.29), layers(6))).toEqual([])
    expect(broken(scattered(0.31), layers(6))).toEqual(['scattered-norms'])
  })

  describe('layers of few eigenvalues', () => {
    const few = { num_evals: 40, S: null, stable_rank: 3 }
    const tolerance = (2 * 0.15) / 64
    const updates = (more: Partial<Layer>) =>
      layers(4).map(one => ({ ...one, tensor: `${one.name}.lora_B.weight`, matrix_rank: 8, S: null, ...more }))

    test('are judged by their norms', () => {
      const moved = (by: number) => layers(3, { ...few, ...MOVED, log_norm: 2 - by })
      expect(broken(moved(0.29), layers(3, few))).toEqual([])
      expect(broken(moved(0.31), layers(3, few))).toEqual(['scattered-norms'])
      expect(broken(layers(3, { ...few, log_norm: 1.89 }), layers(3, few))).toEqual(['rescaled-weights'])
    })

    test.each<[string, Partial<Layer>, string[]]>([
      ['grown tenfold', { ...MOVED, log_norm: 3.99 }, []],
      ['grown further', { ...MOVED, log_norm: 4.01 }, ['moved-updates']],
      ['shrunk', { ...MOVED, log_norm: -0.01 }, ['moved-updates']],
      ['multiplied', { log_norm: 3 }, ['rescaled-weights']],
      ['grown, with a spread as before', { quantiles: [0, 1 + tolerance / 4], log_norm: 3 }, []],
      ['grown, with a largest as before', { stable_rank: 3.02, log_norm: 3 }, []],
      ['as seeds spread', { stable_rank: 3 * Math.exp(0.49) }, []],
      ['of noise', { stable_rank: 3 * Math.exp(0.51) }, ['moved-stable-rank']],
      ['of one direction', { stable_rank: 3 * Math.exp(-0.51) }, ['moved-stable-rank']],
    ])('are judged where an adapter adds them: %s', (_, more, names) => {
      expect(broken(updates({ stable_rank: 3, ...more }), updates({ stable_rank: 3 }))).toEqual(names)
    })

    test('are not where most have more', () => {
      const wide = (more: Partial<Layer>) => [
        ...layers(2),
        ...layers(2, { num_evals: 40, stable_rank: 3, ...more }).map(one => ({
          ...one,
          name: `few.${one.name}`,
          tensor: `few.${one.tensor}`,
        })),
      ]
      expect(broken(wide({ stable_rank: 30 }), wide({}))).toEqual([])
    })
  })

  test('a rank that fell by more than two fifths', () => {
    const lost = (matrix_rank: number) => broken(layers(3, { matrix_rank }), layers(3))
    expect(lost(38)).toContain('lost-rank')
    expect(lost(39)).not.toContain('lost-rank')
  })

  test('each layer is judged by itself where all have too few eigenvalues for a mean', () => {
    const few = { num_evals: 40, zeros: 0, row_levels: 64 }
    expect(broken(layers(3, { ...few, zeros: 0.5 }), layers(3, few))).toEqual(['pruned'])
    expect(broken(layers(3, { ...few, row_levels: 8 }), layers(3, few))).toEqual(['rounded'])
    expect(broken(layers(3, { ...few, S: 0.5, quantiles: [0, 2] }), layers(3, few))).toEqual(['lost-structure'])
  })

  test('without a baseline none is there', () => {
    const alone = judge(
      { rules: [], enforce: true },
      [{ head: model('net', layers(3)), base: null, matched: [], added: layers(3), removed: [] }],
      { cause: 'no-baseline', reason: '' },
    )
    expect(alone).toMatchObject({ status: 'passed', rules: [] })
    expect(alone.held).toBeUndefined()
  })

  test.each(IGNORABLE.filter(name => (BUILT_IN_NAMES as readonly string[]).includes(name)))(
    '%s can be switched off',
    name => {
      const head = [tail('a', { ...WRECKED }), ...layers(2)]
      const base = [tail('a'), ...layers(2), tail('gone')]
      const before = verdict(head, base)
      const after = verdict(head, base, [name])
      const names = ({ rules, held }: typeof before) => [...rules.map(rule => rule.name), ...(held ?? [])]
      expect(names(after)).not.toContain(name)
      expect(names(after).filter(other => other !== 'slightly-lighter-tail')).toEqual(
        names(before).filter(other => other !== name && other !== 'slightly-lighter-tail'),
      )
    },
  )

  test('all of them together, too; what is certain stays', () => {
    const head = [tail('a', { ...WRECKED, log_spectral_norm: 9 }), ...layers(2)]
    expect(verdict(head, [tail('a'), ...layers(2)], ['measured']).rules.map(({ name }) => name)).toEqual(['exploded'])
  })

  const WRECKED = { S: 1, quantiles: [0, 2], alpha_hill: 9, zeros: 0.5, row_levels: 4 }
})

test('a reviewer may accept what a built-in rule found against the baseline', () => {
  expect(isAcceptable(verdict([tail('a', { alpha_hill: 9, num_evals: 200 })], [tail('a')]))).toBe(true)
  const unread = layer('a', null, { status: 'error', error: { code: 'non-finite', message: 'NaN' } })
  expect(isAcceptable(verdict([unread], [tail('a')]))).toBe(false)
})
