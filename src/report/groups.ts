/** The usual groups of layers, by what they do. */
export const GROUPS = [
  'embedding',
  'attention.q',
  'attention.k',
  'attention.v',
  'attention.qkv',
  'attention.o',
  'mlp',
  'head',
] as const

export type Group = (typeof GROUPS)[number]

/** What a rule may name: a group, or all of attention. */
export const GROUP_NAMES = ['attention', ...GROUPS] as const

export type GroupName = (typeof GROUP_NAMES)[number]

const words = (text: string) => text.split(' ')

/** Components of names that say what a layer does wherever they stand, by the group: the names of transformers, timm, Llama, GGUF, JAX. */
const ANYWHERE: Readonly<Partial<Record<Group, readonly string[]>>> = {
  'attention.q': words('q_proj query q_lin to_q attn_q wq Wq q_a_proj q_b_proj linear_q q_proj_weight'),
  'attention.k': words('k_proj key k_lin to_k attn_k wk Wk linear_k k_proj_weight'),
  'attention.v': words('v_proj value v_lin to_v attn_v wv Wv linear_v v_proj_weight'),
  'attention.qkv': words(
    'in_proj_weight qkv qkv_proj to_qkv attn_qkv wqkv Wqkv W_pack c_attn query_key_value to_kv kv_proj kv_a_proj_with_mqa kv_b_proj',
  ),
  'attention.o': words('o_proj attn_output'),
  mlp: words(
    'mlp ffn feed_forward feedforward ff fc1 fc2 c_fc dense_h_to_4h dense_4h_to_h gate_proj up_proj down_proj gate_up_proj w12 wi wi_0 wi_1 intermediate DenseReluDense lin1 lin2 linear1 linear2 ffn_up ffn_down ffn_gate ffn_up_exps ffn_down_exps ffn_gate_exps experts block_sparse_moe',
  ),
}

/** The same below a component that has `attn` or `attention` in it. */
const IN_ATTENTION: Readonly<Partial<Record<Group, readonly string[]>>> = {
  'attention.q': ['q'],
  'attention.k': ['k'],
  'attention.v': ['v'],
  'attention.o': words('o out out_proj out_lin to_out wo Wo proj c_proj dense output'),
}

/** The same outside of numbered blocks. */
const OUTSIDE: Readonly<Partial<Record<Group, readonly string[]>>> = {
  embedding: words(
    'embed embedding embeddings embed_tokens embed_positions embed_in wte wpe shared token_embd tok_embeddings word_embeddings position_embeddings token_type_embeddings position_embd pos_embed positional_embedding token_embedding patch_embed patch_embedding patch_embeddings',
  ),
  head: words('lm_head head heads classifier score embed_out output fc linear logits cls'),
}

const lookup = (table: Readonly<Partial<Record<Group, readonly string[]>>>) =>
  new Map(GROUPS.flatMap(group => (table[group] ?? []).map((word): [string, Group] => [word, group])))
const [anywhere, inAttention, outside] = [ANYWHERE, IN_ATTENTION, OUTSIDE].map(lookup)

/** Under these stand numbers that count the blocks of a model. */
const COUNTED = /^(?:layers?|h|blocks?|blk|resblocks|transformer_blocks|stages?|features)\d{0,3}$/
const PARTS: Readonly<Record<string, Group>> = { q: 'attention.q', k: 'attention.k', v: 'attention.v' }

export interface Named {
  readonly name: string
  readonly part?: string | undefined
}

/** What is known of a layer by its name: what it does, and the path of the block that it belongs to. */
export interface Membership {
  readonly group?: Group
  readonly block?: string
}

/** Each component of the name is looked at once: a name of 4096 characters takes no longer than its length. */
export function membershipOf({ name, part }: Named): Membership {
  const path = name.split(/[./]/)
  const at = path.findIndex((component, i) => COUNTED.test(component) && /^\d{1,6}$/.test(path[i + 1] ?? ''))
  const group = groupIn(path, at < 0 ? undefined : at + 2, part)
  return { ...(group && { group }), ...(at >= 0 && { block: path.slice(0, at + 2).join('.') }) }
}

/** @param inner where the components within the block begin */
function groupIn(path: readonly string[], inner: number | undefined, part: string | undefined): Group | undefined {
  const own = path.slice(inner ?? 0)
  const attention = own.findIndex(component => /attn|attention/i.test(component))
  const found = own.map(component => anywhere.get(component)).findLast(group => group !== undefined)
  if (found === 'attention.qkv') return PARTS[part ?? ''] ?? found
  if (attention >= 0) {
    const inside = own.slice(attention + 1).map(component => inAttention.get(component))
    const last = inside.findLast(group => group !== undefined)
    if (last && (found === undefined || found === 'mlp')) return last
  }
  if (found) return found
  // BERT's second half of a feed-forward is called output.dense.
  if (inner !== undefined) return own[0] === 'output' && own[1] === 'dense' ? 'mlp' : undefined
  return own.map(component => outside.get(component)).find(group => group !== undefined)
}

/** Whether a layer belongs to what a rule names. */
export function isIn(named: Named, wanted: GroupName): boolean {
  const { group } = membershipOf(named)
  return group === wanted || (wanted === 'attention' && group?.startsWith('attention.') === true)
}
