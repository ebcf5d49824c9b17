import { parseJson } from '../../bytes/json.ts'
import { limits } from '../../limits.ts'
import { size, type Tensor } from '../types.ts'
import { numbers } from './codec.ts'
import { as, type Family, Misfit, part } from './family.ts'
import type { Part } from './scheme.ts'

/** bitsandbytes' nf4 and fp4: bitsandbytes/functional.py, QuantState. Undefined where no `quant_state` is there. */
export async function fromTable(family: Family): Promise<Tensor | undefined> {
  const { tensor } = family
  const state = ['nf4', 'fp4']
    .map(kind => family.find(`${tensor.name}.quant_state.bitsandbytes__${kind}`))
    .find(Boolean)
  if (!state) return undefined
  const own = (name: string): Part => {
    const found = family.find(`${tensor.name}.${name}`)
    if (!found) throw new Misfit(`its ${name} is missing`)
    return part(found)
  }
  const { shape, blocksize, nested_blocksize, nested_offset } = parseState(await stateOf(state))
  const [codes, table, largest] = [part(tensor), own('quant_map'), own('absmax')]
  const elements = size(shape)
  const blocks = Math.ceil(elements / blocksize)
  const fits =
    size(codes.shape) === Math.ceil(elements / 2) && size(table.shape) === 16 && size(largest.shape) === blocks
  if (!fits) throw new Misfit(`its codes, absmax and quant_map do not fit [${shape}] in blocks of ${blocksize}`)
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
  const { shape, blocksize, nested_blocksize, nested_offset } = state ?? {}
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
    nested_blocksize: isCount(nested_blocksize) ? nested_blocksize : undefined,
    nested_offset: typeof nested_offset === 'number' ? nested_offset : undefined,
  }
}
