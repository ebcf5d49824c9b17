import type { AttentionConfig } from '../checkpoint/types.ts'
import { product, reshape, shapeOf, slice, type Values } from '../recipe/values.ts'

/** One of the matrices that a tensor packs. */
export interface Block {
  /** `q`, `k`, `v`, `gate`, `up`, or of a recurrent layer `gate i` and the like. */
  readonly part: string
  readonly values: Values
}

/** What is known beside a tensor. */
export interface Surroundings {
  /** The shape of the tensor in the same module whose key ends so; undefined where there is none. */
  readonly sibling: (leaf: string) => readonly number[] | undefined
  readonly attention: AttentionConfig | undefined
}

const QKV = ['q', 'k', 'v'] as const
const GATE_UP = ['gate', 'up'] as const

/** Queries, keys and values one block after the other: torch's MultiheadAttention, timm, lucidrains, flash-attention, Baichuan, GGUF. */
const IN_BLOCKS = /^(?:in_proj_weight|qkv|to_qkv|qkv_proj|attn_qkv|Wqkv|W_pack)$/
/** Gate and up one after the other: Llama 4, Phi-3, GLM; DINOv2 calls them w12. */
const GATED = /^(?:gate_up_proj|w12)$/
const TORCH_RECURRENT = /^weight_(?:ih|hh)(_l\d+)?(_reverse)?$/
const KERAS_RECURRENT = /^(?:recurrent_)?kernel(?::0)?$/

/** By their number: what the gates of a recurrent layer are, in the order in which they lie. */
const GATES = {
  torch: { 4: ['i', 'f', 'g', 'o'], 3: ['r', 'z', 'n'] },
  keras: { 4: ['i', 'f', 'c', 'o'], 3: ['z', 'r', 'h'] },
} as const

/**
 * The matrices that are packed in a 2-D or, of stacked experts, in one item of a 3-D tensor, by its key and what is beside it.
 * Sources: torch.nn (MultiheadAttention, LSTM, GRU), keras.layers, and the modelling files of transformers for the families by name.
 * @param key of the weight
 * @returns undefined where it packs nothing; a sentence where it packs something, and where the blocks lie is not known
 */
export function blocksIn(
  key: string,
  values: Values,
  { sibling, attention }: Surroundings,
): readonly Block[] | string | undefined {
  const leaf = leafOf(key)
  const [rows, columns, ...rest] = shapeOf(values)
  if (rest.length > 0 || columns === undefined) return undefined
  if (IN_BLOCKS.test(leaf)) return attentionBlocks(key, leaf, values, attention)
  if (leaf === 'c_attn') {
    // GPT-2's Conv1D is (in, 3·out); others name a linear layer so.
    if (columns === 3 * rows && attention?.family !== 'gpt_bigcode') return equal(values, 1, QKV)
    return attention?.family === 'gpt_bigcode'
      ? ofFamily(values, attention)
      : attentionBlocks(key, leaf, values, attention)
  }
  if (leaf === 'query_key_value' || leaf === 'wqkv') return ofFamily(values, attention)
  if (leaf === 'to_kv') return rows % 2 === 0 ? equal(values, 0, ['k', 'v']) : undefined
  if (GATED.test(leaf)) return rows % 2 === 0 ? equal(values, 0, GATE_UP) : undefined
  if (TORCH_RECURRENT.test(leaf)) return torchGates(leaf, values, sibling)
  if (KERAS_RECURRENT.test(leaf))
    return kerasGates(values, sibling('recurrent_kernel') ?? sibling('recurrent_kernel:0'))
  return undefined
}

/** The last component of a key that names a module or a parameter. */
function leafOf(key: string): string {
  const path = key.split(/[./]/)
  const last = path[path.length - 1]
  return (last === 'weight' || last === 'weight_v') && path.length > 1 ? path[path.length - 2] : last
}

const NO_HEADS =
  'queries, keys and values lie in it together, and where depends on the number of heads: keep its config.json beside it'
const NO_FIT = 'queries, keys and values lie in it together, and its shape is not what config.json says'
const NO_FAMILY = 'queries, keys and values lie in it together, and how is not known of this kind of model'

/** CodeGen cuts its projection for four accelerators, queries, values and keys in each; CodeGen2, whose code is its own, for more. */
const CODEGEN = /(?:^|\.)h\.\d+\.attn\.qkv_proj(?:\.|$)/
const CODEGEN_CUTS = 4

function attentionBlocks(key: string, leaf: string, values: Values, attention: AttentionConfig | undefined) {
  const [rows, columns] = shapeOf(values)
  if (attention?.family === 'codegen' && !attention.ownCode)
    return byHead(values, CODEGEN_CUTS, 1, columns / CODEGEN_CUTS, ['q', 'v', 'k']) ?? NO_FIT
  if (attention?.family === 'codegen' || (leaf === 'qkv_proj' && CODEGEN.test(key))) return NO_FAMILY
  const sizes = sizesOf(attention)
  if (sizes && sizes.queries + 2 * sizes.shared === rows && attention?.hidden === columns) return bySize(values, sizes)
  // timm's, lucidrains' and torch's own have as many keys as queries, whatever the width of a head.
  const alike = /^(?:in_proj_weight|qkv|to_qkv)$/.test(leaf) ? rows % 3 === 0 : rows === 3 * columns
  if (alike) return equal(values, 0, QKV)
  return sizes ? NO_FIT : NO_HEADS
}

interface Sizes {
  /** Rows of the queries, and of the keys or the values. */
  readonly queries: number
  readonly shared: number
}

function sizesOf(attention: AttentionConfig | undefined): Sizes | undefined {
  const { heads, sharedHeads, width } = attention ?? {}
  return heads && sharedHeads && width ? { queries: heads * width, shared: sharedHeads * width } : undefined
}

/** Of models whose config.json says how their heads lie among each other. */
function ofFamily(values: Values, attention: AttentionConfig | undefined): readonly Block[] | string {
  if (!attention) return NO_HEADS
  const { family, heads, sharedHeads, width, grouped, multiQuery } = attention
  const sizes = sizesOf(attention)
  if (!heads || !sharedHeads || !width || !sizes) return NO_HEADS
  const [rows] = shapeOf(values)
  const single = { queries: sizes.queries, shared: width }
  switch (family) {
    case 'gpt_neox':
    case 'gpt_neox_japanese':
    case 'bloom':
      return byHead(values, heads, 1, width) ?? NO_FIT
    case 'falcon':
    case 'RefinedWeb':
    case 'RefinedWebModel':
      if (grouped) return byHead(values, sharedHeads, heads / sharedHeads, width) ?? NO_FIT
      if (multiQuery) return rows === sizes.queries + 2 * width ? bySize(values, single) : NO_FIT
      return byHead(values, heads, 1, width) ?? NO_FIT
    case 'gpt_bigcode':
      if (multiQuery !== false) return rows === sizes.queries + 2 * width ? bySize(values, single) : NO_FIT
      return byHead(values, heads, 1, width) ?? NO_FIT
    case 'internlm2':
      return byHead(values, sharedHeads, heads / sharedHeads, width) ?? NO_FIT
    case 'chatglm':
      if (multiQuery === undefined) return byHead(values, heads, 1, width) ?? NO_FIT
      return rows === sizes.queries + 2 * sizes.shared ? bySize(values, sizes) : NO_FIT
    default:
      return NO_FAMILY
  }
}

function bySize(values: Values, { queries, shared }: Sizes): Block[] {
  return [
    { part: 'q', values: run(values, 0, 0, queries) },
    { part: 'k', values: run(values, 0, queries, shared) },
    { part: 'v', values: run(values, 0, queries + shared, shared) },
  ]
}

/** In each of `groups` runs of rows some heads of queries, one of keys and one of values. */
function byHead(
  values: Values,
  groups: number,
  queries: number,
  width: number,
  [first, ...shared]: readonly string[] = QKV,
): Block[] | undefined {
  const [rows] = shapeOf(values)
  if (!Number.isInteger(queries) || !Number.isInteger(width) || rows !== groups * (queries + 2) * width)
    return undefined
  const heads = (from: number, count: number) => (of: Values) => {
    const [, columns] = shapeOf(of)
    const each = reshape(of, [groups, queries + 2, width, columns])
    return reshape(slice(each, [0, from, 0, 0], [groups, count, width, columns]), [groups * count * width, columns])
  }
  return [
    { part: first, values: ofRows(values, heads(0, queries)) },
    ...shared.map((part, i) => ({ part, values: ofRows(values, heads(queries + i, 1)) })),
  ]
}

const NO_WIDTH = 'gate and up lie in it together, and how depends on the kind of model: keep its config.json beside it'

/**
 * Gate and up of one expert of a stack: Llama 4 has them one after the other along the columns of (in, 2·out), gpt-oss one column
 * each in turn, others one after the other along the rows of (2·out, in).
 */
export function expertBlocks(
  key: string,
  values: Values,
  attention: AttentionConfig | undefined,
): readonly Block[] | string | undefined {
  if (!GATED.test(leafOf(key))) return undefined
  const [rows, columns] = shapeOf(values)
  const { hidden, family } = attention ?? {}
  if (!hidden || rows === columns) return NO_WIDTH
  if (family === 'gpt_oss') {
    if (rows !== hidden || columns % 2 !== 0) return NO_WIDTH
    const pairs = reshape(values, [rows, columns / 2, 2])
    return GATE_UP.map((part, i) => ({
      part,
      values: reshape(slice(pairs, [0, 0, i], [rows, columns / 2, 1]), [rows, columns / 2]),
    }))
  }
  if (rows === hidden && columns % 2 === 0) return equal(values, 1, GATE_UP)
  return columns === hidden && rows % 2 === 0 ? equal(values, 0, GATE_UP) : NO_WIDTH
}

function torchGates(leaf: string, values: Values, sibling: Surroundings['sibling']): readonly Block[] | undefined {
  const [rows] = shapeOf(values)
  const ending = leaf.slice('weight_ih'.length)
  const recurrent = leaf.startsWith('weight_hh') ? shapeOf(values) : sibling(`weight_hh${ending}`)
  // A projection makes the state narrower than the gates; only an LSTM has one.
  const count = sibling(`weight_hr${ending}`) ? 4 : recurrent && recurrent[0] / recurrent[1]
  if (recurrent?.[0] !== rows || rows % (count ?? 1) !== 0) return undefined
  return gates(values, 0, 'torch', count)
}

function kerasGates(values: Values, recurrent: readonly number[] | undefined): readonly Block[] | undefined {
  const [, columns] = shapeOf(values)
  if (recurrent?.length !== 2 || recurrent[1] !== columns) return undefined
  return gates(values, 1, 'keras', recurrent[1] / recurrent[0])
}

function gates(values: Values, axis: 0 | 1, order: keyof typeof GATES, count: number | undefined) {
  const names = count === 4 || count === 3 ? GATES[order][count] : undefined
  return (
    names &&
    equal(
      values,
      axis,
      names.map(name => `gate ${name}`),
    )
  )
}

/**
 * The gates of one direction of a recurrent layer, as its reader names them.
 * @returns undefined of a layer that has none, or of another number of rows
 */
export function gatesIn(values: Values, names: readonly string[]): readonly Block[] | undefined {
  if (names.length === 0 || shapeOf(values)[0] % names.length !== 0) return undefined
  return equal(
    values,
    0,
    names.map(name => `gate ${name}`),
  )
}

/** Blocks of one size, one after the other along an axis. */
function equal(values: Values, axis: 0 | 1, parts: readonly string[]): Block[] {
  const length = shapeOf(values)[axis] / parts.length
  return parts.map((part, i) => ({ part, values: run(values, axis, i * length, length) }))
}

/** Some rows, or columns; of a product of low rank those of its factor, so that it stays one. */
function run(values: Values, axis: 0 | 1, from: number, length: number): Values {
  const cut = (of: Values) => {
    const [rows, columns] = shapeOf(of)
    return axis === 0 ? slice(of, [from, 0], [length, columns]) : slice(of, [0, from], [rows, length])
  }
  if (values.op !== 'product' || axis === 0) return ofRows(values, cut)
  return product(values.left, cut(values.right), values.factor)
}

function ofRows(values: Values, rows: (of: Values) => Values): Values {
  return values.op === 'product' ? product(rows(values.left), values.right, values.factor) : rows(values)
}
