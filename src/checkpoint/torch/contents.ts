import { CheckpointError, quoted, tensorIn } from '../../errors.ts'
import { isLearned, markConstants } from '../constants.ts'
import { momentIn } from '../moment.ts'
import type { Contents, ReadOptions } from '../reader.ts'
import { type DType, isFloat, type Tensor, type UnreadTensor } from '../types.ts'
import { isPiece, pieceOfTensor, refusePiece } from './distributed.ts'
import { ASIDE } from './flatten.ts'
import { refusal } from './globals.ts'
import { Shadowed } from './modules.ts'
import type { Unpickled } from './pickle.ts'
import type { Source } from './source.ts'
import { findStateDict } from './state-dict.ts'
import { describeTensor, type Locate } from './tensors.ts'
import { pathTo } from './tree.ts'

/**
 * The weights in what a checkpoint's pickle holds.
 * @throws CheckpointError where it names something forbidden, holds no weights, or only one rank's piece of them
 */
export async function describeContents(
  source: Source,
  unpickled: Pick<Unpickled, 'value' | 'forbidden'>,
  locate: Locate,
  options: ReadOptions,
): Promise<Contents> {
  try {
    return await contentsOf(source, unpickled, locate, options)
  } catch (error) {
    if (!(error instanceof Shadowed)) throw error
    throw new CheckpointError(source.path, error.message, 'Save the weights alone: torch.save(model.state_dict(), …).')
  }
}

async function contentsOf(
  source: Source,
  { value, forbidden }: Pick<Unpickled, 'value' | 'forbidden'>,
  locate: Locate,
  { stateDict: wanted }: ReadOptions,
): Promise<Contents> {
  if (forbidden) {
    const at = pathTo(value, forbidden)
    throw refusal(at ? `${source.path}: ${quoted(at)}` : source.path, forbidden)
  }
  refusePiece(source.path, value)
  const found = findStateDict(source.path, value, wanted, source.budget)
  const tensors: Tensor[] = []
  const unread: UnreadTensor[] = [...found.unread]
  for (const { name, dtype } of unread) checkPiece(source.path, name, [dtype])
  for (const [name, call] of found.tensors) {
    checkPiece(source.path, name, call.args.slice(0, 2).map(String))
    const described = await describeTensor(source, name, call, locate)
    const packed = name.endsWith(PACKED) && 'source' in described
    if (packed) tensors.push({ ...described, label: `${withoutPacked(name)}weight` })
    else if ('source' in described) tensors.push(found.buffers.has(name) ? asBuffer(described) : described)
    else unread.push(described)
  }
  const aside: Tensor[] = []
  const reasons = new Map<string, string>()
  for (const [name, call, reason = ASIDE] of found.aside) {
    reasons.set(name, reason)
    const described = await describeTensor(source, name, call, locate)
    const { dtype, shape } = described
    if (!isFloat(dtype as DType) || shape.length < 2) continue
    if ('source' in described) aside.push(described)
    else unread.push({ name, dtype, shape, reason, aside: true })
  }
  // Masks, and tables of positions, are none.
  for (const { name, dtype, shape, constant } of await markConstants(aside))
    if (constant === undefined) unread.push({ name, dtype, shape, reason: reasons.get(name) ?? ASIDE, aside: true })
  const moment = value instanceof Map ? momentIn(key => value.get(key)) : undefined
  return { tensors, unread, ...(moment && { moment }), stateDict: found.stateDict, ignored: found.ignored }
}

/** A buffer under the name of a weight is one that is frozen. */
function asBuffer(tensor: Tensor): Tensor {
  return isLearned(tensor.name) ? tensor : { ...tensor, constant: 'a buffer of its module, no parameter' }
}

/** Where quantised layers keep their weight. */
const PACKED = '_packed_params'
/** Its path, without the objects that hold it, some of which are within each other. */
function withoutPacked(name: string): string {
  let end = name.length
  while (name.endsWith(`.${PACKED}`, end)) end -= PACKED.length + 1
  return name.endsWith(PACKED, end) ? name.slice(0, end - PACKED.length) : name.slice(0, end + 1)
}

function checkPiece(path: string, name: string, types: readonly string[]): void {
  if (types.some(type => isPiece(name, type))) {
    throw pieceOfTensor(tensorIn(path, name))
  }
}
