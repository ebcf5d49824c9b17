import { parseJson } from '../../bytes/json.ts'
import { limits } from '../../limits.ts'
import { size, type Tensor } from '../types.ts'
import { numbers } from './codec.ts'
import { as, type Family, Misfit, part } from './family.ts'
import type { Part } from './scheme.ts'

const FP4 = [0, 0.0625, 8, 12, 4, 6, 2, 3].map(value => value / 12)
/** What codes stand for: bitsandbytes/functional.py, get_4bit_type. nf4 has the quantiles of a normal distribution (QLoRA, appendix E). */
const TABLES = {
  nf4: [
    ...[-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635],
    ...[-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634],
    ...[0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1],
  ],
  fp4: [...FP4, ...FP4.map(value => -value)],
}

/** bitsandbytes' nf4 and fp4: bitsandbytes/functional.py, QuantState. Undefined where no `quant_state` is there. */
export async function fromTable(family: Family): Promise<Tensor | undefined> {
  const { tensor } = family
  const states = (['nf4', 'fp4'] as const).flatMap(kind => {
    const state = family.find(`${tensor.name}.quant_state.bitsandbytes__${kind}`)
    return state ? [{ kind, state }] : []
  })
  if (states.length > 1) throw new Misfit('it has a quant_state of nf4 and one of fp4')
  if (states.length === 0) return undefined
  const [{ kind, state }] = states
  const own = (name: string): Part => {
    const found = family.find(`${tensor.name}.${name}`)
    if (!found) throw new Misfit(`its ${name} is missing`)
    return part(found)
  }
  const { shape, blocksize, nested_blocksize, nested_offset, quant_type } = parseState(await stateOf(state))
  const [codes, table, largest] = [part(tensor), own('quant_map'), own('absmax')]
  const elements = size(shape)
  const blocks = Math.ceil(elements / blocksize)
  const fits =
    size(codes.shape) === Math.ceil(elements / 2) && size(table.shape) === 16 && size(largest.shape) === blocks
  if (!fits) throw new Misfit(`its codes, absmax and quant_map do not fit [${shape}] in blocks of ${blocksize}`)
  // bitsandbytes takes the table of the type, whatever is stored.
  const near = table.dtype === 'F32' ? 1e-6 : 1e-2
  const stored = await numbers(table)
  if (quant_type !== kind || TABLES[kind].some((value, i) => !(Math.abs(value - stored[i]) <= near)))
    throw new Misfit(`its quant_map or quant_type is not that of ${kind}`)
  const scheme = { kind: 'table' as const, codes, table, largest, blocksize, elements }
  if (largest.dtype !== 'U8') return as(family, shape, scheme)
  const inner = { table: own('nested_quant_map'), largest: own('nested_absmax') }
  if (!nested_blocksize || nested_offset === undefined || size(inner.table.shape) !== 256)
    throw new Misfit('its nested state is incomplete')
  if (size(inner.largest.shape) < Math.ceil(blocks / nested_blocksize))
    throw new Misfit('its nested_absmax is too short')
  return as(family, shape, { ...scheme, nested: { ...inner, blocksize: nested_blocksize, offset: nested_offset } })
}

async function stateOf(state: Tensor): Promise<Buffer> {
  const bytes = size(state.shape)
  if (bytes > limits.checkpoint.stateBytes) throw new Misfit(`its quant_state has ${bytes} bytes`)
  return Buffer.from(await numbers(part(state)))
}

function parseState(bytes: Buffer) {
  let state: Record<string, unknown>
  try {
    state = parseJson(bytes, { depth: limits.json.nestingLevels, marks: limits.json.marksCount }) as typeof state
  } catch {
    throw new Misfit('its quant_state is not JSON')
  }
  const { shape, blocksize, nested_blocksize, nested_offset, quant_type } = state ?? {}
  const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) > 0
  if (
    !Array.isArray(shape) ||
    shape.length > limits.checkpoint.dimensionsCount ||
    !shape.every(isCount) ||
    !isCount(blocksize)
  ) {
    throw new Misfit('its quant_state has no usable shape and blocksize')
  }
  return {
    shape: shape as number[],
    blocksize,
    quant_type,
    nested_blocksize: isCount(nested_blocksize) ? nested_blocksize : undefined,
    nested_offset: typeof nested_offset === 'number' ? nested_offset : undefined,
  }
}
