import { field, Relatives } from './quantised/family.ts'
import type { Checkpoint } from './types.ts'

/** How a model's attention is divided into heads, as far as the config.json beside it says so. */
export interface AttentionConfig {
  /** `model_type`; empty where there is none. */
  readonly family: string
  /** Width of the residual stream. */
  readonly hidden: number | undefined
  readonly heads: number | undefined
  /** Of keys and values: fewer than `heads` where queries share them. */
  readonly sharedHeads: number | undefined
  /** Columns of one head. */
  readonly width: number | undefined
  /** Falcon's two layouts, and the one head of keys and values that all queries share. */
  readonly grouped: boolean
  readonly multiQuery: boolean | undefined
}

/**
 * @returns undefined where no config.json that can be read lies beside the weights; its stamp is added to the checkpoint's where it is read
 */
export async function readAttention({
  tensors,
  stamps,
}: Pick<Checkpoint, 'tensors' | 'stamps'>): Promise<AttentionConfig | undefined> {
  if (tensors.length === 0) return undefined
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
    width: number('head_dim', 'kv_channels') ?? (hidden && heads && hidden % heads === 0 ? hidden / heads : undefined),
    grouped: given('new_decoder_architecture') === true,
    multiQuery: typeof multiQuery === 'boolean' ? multiQuery : undefined,
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0 && value < 1e7
}
