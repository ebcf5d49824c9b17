import { piecesOf } from '../checkpoint/pieces.ts'
import { type FloatDType, isFloat, type Tensor } from '../checkpoint/types.ts'
import { widen } from '../checkpoint/widen.ts'
import { followers } from './classify.ts'

/** Cosine of two networks from which on one follows the other: two that were trained apart are at about 0. */
const FOLLOWS = 0.2
/** Bytes of each matrix that are compared, and matrices of each network. */
const SAMPLE = 32 * 1024
const MOST = 16

/**
 * Roots of networks that are called as one that follows another (`target`, `key_encoder`), have its shapes, and have nothing of its
 * values: second towers, target languages. They are weights of the model.
 */
export async function independent(tensors: readonly Tensor[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for (const { root, pairs } of followers(tensors)) {
    if (pairs.flat().every(isPlain) && (await cosine(pairs.slice(0, MOST))) < FOLLOWS) found.add(root)
  }
  return found
}

/** Whether its values are at hand, without being dequantised. */
function isPlain({ dtype, broken, skip, source }: Tensor): boolean {
  const isCoded = source.kind === 'packed' && source.codec === 'quantised'
  return isFloat(dtype) && broken === undefined && !skip && !isCoded
}

/** Of the beginnings of all pairs as one vector each; 0 where one of them is 0. */
async function cosine(pairs: readonly (readonly [Tensor, Tensor])[]): Promise<number> {
  let [product, left, right] = [0, 0, 0]
  for (const pair of pairs) {
    const [a, b] = await Promise.all(pair.map(beginning))
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      product += a[i] * b[i]
      left += a[i] * a[i]
      right += b[i] * b[i]
    }
  }
  const cosine = product / Math.sqrt(left * right)
  return Number.isFinite(cosine) ? cosine : 0
}

async function beginning(tensor: Tensor): Promise<Float64Array> {
  for await (const bytes of piecesOf(tensor, SAMPLE)) return widen(tensor.dtype as FloatDType, bytes)
  return new Float64Array(0)
}
