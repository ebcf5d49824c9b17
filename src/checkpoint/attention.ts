import { field, Relatives } from './quantised/family.ts'
import type { AttentionConfig, Checkpoint } from './types.ts'

/**
 * What the file itself says of heads, or config.json beside it.
 * @returns undefined where neither does; the stamp of config.json is added to the checkpoint's where it is read
 */
export async function readAttention({
  tensors,
  stamps,
  attention,
}: Pick<Checkpoint, 'tensors' | 'stamps' | 'attention'>): Promise<AttentionConfig | undefined> {
  if (attention || tensors.length === 0) return attention
  const config = await new Relatives([], stamps).config(tensors[0].source.path, 'config.json')
  const text = field(config, 'text_config')
  const given = (name: string) => field(config, name) ?? field(text, name)
  const number = (...names: readonly string[]) => names.map(given).find(isCount)
  const family = given('model_type')
  if (typeof family !== 'string' && number('hidden_size', 'n_embd') === undefined) return undefined
  const hidden = number('hidden_size', 'n_embd', 'd_model')
  const heads = number('num_attention_heads', 'n_head', 'n_heads')
  const multiQuery = given('multi_query') ?? given('multi_query_attention')
  return {
    family: typeof family === 'string' ? family : '',
    hidden,
    heads,
    sharedHeads: number('num_key_value_heads', 'num_kv_heads', 'multi_query_group_num', 'n_head_kv') ?? heads,
    width: number('head_dim', 'kv_channels') ?? widthOf(hidden, heads),
    grouped: given('new_decoder_architecture') === true,
    multiQuery: typeof multiQuery === 'boolean' ? multiQuery : undefined,
    ownCode: field(config, 'auto_map') !== undefined,
  }
}

/** Of a head, where together they are as wide as the residual stream. */
export function widthOf(hidden: number | undefined, heads: number | undefined): number | undefined {
  return hidden && heads && hidden % heads === 0 ? hidden / heads : undefined
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 1e7
}
