import { type DType, size, type Tensor } from '../types.ts'
import { type Family, Misfit } from './family.ts'

/** What the activations are scaled with: nothing of the weights. */
const ACTIVATIONS = /(?:^|[._])(?:input|output|in|out|act|activation|k|v|q|pre_quant|prequant|smooth)[._]/
/** A part of a name that tells a scale, a zero point, or the like. */
const SCALE = /scale|scl(?![a-z])|amax|absmax|(?:^|[._])(?:inv|s|exp|zero|zp|qparams|quant_state)(?:$|[._\d])|exponent/i

function looksLikeScale(family: Family, other: Tensor): boolean {
  const rest = other.name.slice(family.scope === '' ? 0 : family.scope.length + 1)
  return SCALE.test(rest) && !ACTIVATIONS.test(rest) && !/^(?:layer_?scale|logit_scale|layerscale)/i.test(rest)
}

/** Leaves of keys under which quantisers keep codes. */
const CODES =
  /^(?:qweight|q_weight|weight_packed|packed_weight|W_q|B|Qidxs|codes|qdata|_data|trellis|.*_qdata|.*_(?:blocks|codes|packed|quantized|qweight))$/
/** A weight's own leaf: integers under it are codes, whatever lies beside them. */
const WEIGHT = /^(?:weight|kernel)$/
/** Integers that no quantiser wrote. */
const INDICES =
  /(?:^|_)(?:ids?|index|indices|idx|mask|position|positions|length|lengths|count|steps?|shape|tokens?|perm)(?:_|$)/i
/** What else quantisers keep beside codes: codebooks, rotations, low-rank corrections. */
const COMPANION =
  /codebook|centroid|lookup_table|_shift$|hadamard|had_|^s[uv]h?$|lut|grid|zeros|^s$|^z$|(?:^|_)(?:min|max)$|proj_(?:up|down)|lora_|smooth|^biases$|meta|format|perm$|g_idx|rescale/i
/** Fewer integers are a note, not a weight. */
const LEAST = 16

export const isF8 = (dtype: DType): boolean => dtype === 'F8_E4M3' || dtype === 'F8_E5M2'

/** Whether a tensor may hold the codes of a quantised weight. */
export function mayHoldCodes({ dtype, shape }: Tensor): boolean {
  if (isF8(dtype) || dtype === 'U8' || dtype === 'I8') return true
  return ['I16', 'U16', 'I32', 'U32', 'I64', 'F4', 'F6_E2M3', 'F6_E3M2'].includes(dtype) && shape.length > 0
}

/** Whether the last component of a key is that of a scale, a zero point or the like. */
export function isCompanion(leaf: string): boolean {
  return SCALE.test(leaf) || COMPANION.test(leaf)
}

/** What beside a tensor looks like its scale, and is not the activations'. */
export function scaleOf(family: Family): Tensor | undefined {
  return family.others().find(other => looksLikeScale(family, other) && isOwn(family, other))
}

/** The keys of all that a quantiser put beside a tensor. */
export function companionsOf(family: Family): string[] {
  if (family.scope === '')
    return family
      .others()
      .filter(other => isOwn(family, other))
      .map(({ name }) => name)
  const isOne = (other: Tensor) => looksLikeScale(family, other) || COMPANION.test(leafOf(family.scope, other))
  return family
    .others()
    .filter(isOne)
    .map(({ name }) => name)
}

/** Whether a scale is this tensor's, and not that of another payload in the module. */
function isOwn({ tensor, leaf, scope: base }: Family, other: Tensor): boolean {
  const rest = other.name.slice(base === '' ? 0 : base.length + 1)
  return rest.startsWith(leaf.replace(/^_/, '')) || rest.startsWith(leaf) || (base !== '' && tensor.shape.length >= 2)
}

/**
 * Codes in a layout that has no reader, known as such by their key, or by what lies beside them.
 * @throws Misfit that says so
 */
export function refuseUnknown(family: Family): void {
  const { tensor, leaf } = family
  const { dtype, shape } = tensor
  if (!mayHoldCodes(tensor) || isF8(dtype) || size(shape) < LEAST) return
  const codebook = codebookOf(family)
  if (INDICES.test(leaf) && !codebook) return
  const scale = scaleOf(family) ?? codebook
  const weight = WEIGHT.test(leaf) && shape.length >= 2 && dtype !== 'I64'
  if (weight || (CODES.test(leaf) && (scale || dtype !== 'I64'))) throw new Misfit('its layout has no reader')
  if (scale && shape.length >= 2 && dtype !== 'I64') throw new Misfit('its layout has no reader')
}

function codebookOf(family: Family): Tensor | undefined {
  return family
    .others()
    .find(other => /codebook|centroids|lookup_table|zeros/i.test(leafOf(family.scope, other)) && isOwn(family, other))
}

function leafOf(base: string, { name }: Tensor): string {
  return name.slice(base === '' ? 0 : base.length + 1)
}
