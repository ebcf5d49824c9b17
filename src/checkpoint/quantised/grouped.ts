import { isFloat, type Tensor } from '../types.ts'
import { numbers } from './codec.ts'
import { as, type Family, field, Misfit, part } from './family.ts'
import type { Part, Scheme } from './scheme.ts'

/** GPTQ (AutoGPTQ, GPTQModel) and AWQ (AutoAWQ), told apart by which side of `qweight` is packed. The layer is (out, in). */
export async function grouped(family: Family): Promise<Tensor> {
  const words = part(family.tensor)
  const [scales, zeros] = [family.need('scales'), family.need('qzeros')]
  const index = family.sibling('g_idx')
  const columns = scales.shape[1]
  // Zeros of 3 bits fill whole words where columns are a multiple of 32, as GPTQ's own kernels need them.
  const bits = (32 * zeros.shape[1]) / columns
  if (![2, 3, 4, 8].includes(bits)) throw new Misfit(`its ${bits} bits a weight are not supported`)
  const awq = words.shape[1] === zeros.shape[1] && words.shape[1] !== columns
  const rows = awq ? words.shape[0] : (words.shape[0] * 32) / bits
  const matrices = [words, scales, zeros].every(({ shape }) => shape.length === 2 && !shape.includes(0))
  const fits = words.shape[1] === (awq ? (columns * bits) / 32 : columns) && zeros.shape[0] === scales.shape[0]
  if (!matrices || !fits || (awq && bits !== 4) || !isFloat(scales.dtype) || zeros.dtype !== 'I32') {
    throw new Misfit(
      `qweight [${words.shape}], scales [${scales.shape}] and qzeros [${zeros.shape}] do not fit together`,
    )
  }
  if (index && (index.shape.join() !== String(rows) || index.dtype !== 'I32')) {
    throw new Misfit(`its g_idx of shape [${index.shape}] does not fit ${rows} rows`)
  }
  if (!index && rows % scales.shape[0] !== 0)
    throw new Misfit(`${rows} rows are no whole number of ${scales.shape[0]} groups`)
  if (!awq) await checkConfig(family, { bits, rows, groups: scales.shape[0], index: index && part(index), zeros })
  const common = { words, scales, zeros, bits, rows, columns }
  const scheme: Scheme = awq
    ? { kind: 'awq', ...common }
    : { kind: 'gptq', ...common, groupIndex: index && part(index), zeroOffset: await zeroOffset(family) }
  return as(family, [columns, rows], scheme, [1, columns])
}

interface Layout {
  readonly bits: number
  readonly rows: number
  readonly groups: number
  readonly index: Part | undefined
  readonly zeros: Part
}

/**
 * What the config says is what fast kernels go by: they take no group index without `desc_act`, and no zero points with `sym`.
 * @throws Misfit where the tensors say otherwise
 */
async function checkConfig(family: Family, { bits, rows, groups, index, zeros }: Layout): Promise<void> {
  const configs = await configsOf(family)
  for (const own of configs) {
    if (Object.keys(field(own, 'dynamic') ?? {}).length > 0) continue
    const [said, size] = [field(own, 'bits'), field(own, 'group_size')]
    if (typeof said === 'number' && said !== bits)
      throw new Misfit(`its config says ${said} bits a weight, but it has ${bits}`)
    if (typeof size === 'number' && size > 0 && Math.ceil(rows / size) !== groups)
      throw new Misfit(`its config says groups of ${size}, but its ${rows} rows have ${groups}`)
  }
  if (index && configs.some(own => field(own, 'desc_act') === false)) {
    const each = Math.ceil(rows / groups)
    if ((await numbers(index)).some((group, row) => group !== Math.floor(row / each)))
      throw new Misfit('its g_idx has another order than its config says (desc_act is false)')
  }
  if (bits !== 3 && configs.some(own => field(own, 'sym') === true)) {
    const middle = (1 << (bits - 1)) - (await zeroOffset(family))
    let word = 0
    for (let at = 0; at < 32; at += bits) word |= middle << at
    if ((await numbers(zeros)).some(zero => zero !== word))
      throw new Misfit('its zero points are not those in the middle, though its config says so (sym is true)')
  }
}

/** What quantize_config.json and config.json say of the layout. */
async function configsOf(family: Family): Promise<unknown[]> {
  const found: unknown[] = []
  for (const name of ['quantize_config.json', 'config.json']) {
    const config = await family.config(name)
    const own = field(config, 'quantization_config') ?? (name === 'config.json' ? undefined : config)
    if (own !== undefined) found.push(own)
  }
  return found
}

/** GPTQ's first format stores zero − 1, its second (`gptq_v2` in the model's config, under either key) the zero itself. */
async function zeroOffset(family: Family): Promise<number> {
  const said = (await configsOf(family)).map(own => field(own, 'checkpoint_format') ?? field(own, 'format'))
  const formats = new Set(said.map(format => String(format).toLowerCase() === 'gptq_v2'))
  if (formats.size > 1) throw new Misfit('quantize_config.json and config.json say different checkpoint_format')
  return formats.has(true) ? 0 : 1
}
