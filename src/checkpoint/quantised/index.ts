import type { Stamp, Tensor } from '../types.ts'
import { fromTable } from './bitsandbytes.ts'
import { Family, labelOf, Misfit, Relatives } from './family.ts'
import { grouped } from './grouped.ts'
import { float4, mlx, packed, scaled } from './layouts.ts'
import { refuseUnsaid } from './said.ts'
import { companionsOf, isCompanion, isF8, mayHoldCodes, refuseUnknown, scaleOf } from './signs.ts'

/**
 * The tensors of a checkpoint, the quantised ones described as the values that they stand for. Scales, zero points and the like
 * become no layers; where one is missing or does not fit, or the layout is none that is known, the tensor becomes a layer that can't
 * be read, with the reason.
 *
 * A family is known by its structure: integers or F8 beside what looks like scales, zeros, biases or codebooks. F8 tensors beside
 * which nothing looks like a scale, in a checkpoint where no other has one, are plain numbers.
 *
 * @param stamps where those of the config files are put that are read
 */
export async function describeQuantised(tensors: readonly Tensor[], stamps: Stamp[]): Promise<Tensor[]> {
  const all = new Relatives(tensors, stamps)
  const payloads = tensors.filter(tensor => mayHoldCodes(tensor) && tensor.skip === undefined && !tensor.companion)
  const expected = all.has('scaled_fp8') || payloads.some(tensor => hasScale(new Family(tensor, all)))
  const companions = new Set<string>()
  const described = new Map<string, Tensor>()
  for (const tensor of payloads) {
    const family = new Family(tensor, all)
    const found = await describe(family, expected)
    if (!found) continue
    described.set(tensor.name, found)
    for (const name of family.used) companions.add(name)
  }
  if (described.size === 0) return [...tensors]
  companions.add('scaled_fp8')
  return tensors.map(tensor => {
    // Codes can be scales of others: F8 that NVFP4's are multiplied with.
    return companions.has(tensor.name) ? { ...tensor, companion: true } : (described.get(tensor.name) ?? tensor)
  })
}

function hasScale(family: Family): boolean {
  return isF8(family.tensor.dtype) && !isCompanion(family.leaf) && scaleOf(family) !== undefined
}

/** The tensor as what it stands for; undefined where it is not quantised. */
async function describe(family: Family, expected: boolean): Promise<Tensor | undefined> {
  const { tensor, leaf } = family
  if (isCompanion(leaf)) return undefined
  try {
    const found = await read(family, expected)
    if (found) await refuseUnsaid(family)
    else refuseUnknown(family)
    return found
  } catch (error) {
    if (!(error instanceof Misfit)) throw error
    for (const name of companionsOf(family)) family.used.add(name)
    return { ...tensor, dtype: 'F32', broken: `it is quantised, and ${error.message}`, ...labelOf(family) }
  }
}

async function read(family: Family, expected: boolean): Promise<Tensor | undefined> {
  const { dtype } = family.tensor
  if (dtype === 'I32' && family.leaf === 'qweight') return grouped(family)
  if (dtype === 'I32' && family.leaf === 'weight_packed') return packed(family)
  if (dtype === 'U32') return mlx(family)
  if (dtype === 'U8') return (await fromTable(family)) ?? float4(family)
  return isF8(dtype) || dtype === 'I8' ? scaled(family, isF8(dtype) && expected) : undefined
}
