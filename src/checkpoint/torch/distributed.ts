import { dirname } from 'node:path'
import { CheckpointError } from '../../errors.ts'
import { Inert, type Value } from './values.ts'

const DCP = 'python -m torch.distributed.checkpoint.format_utils dcp_to_torch'
const consolidate = (folder: string) => `${DCP} ${folder} out.pt`
const ZERO = 'python zero_to_fp32.py . out'
const WHOLE = 'Save the whole state dict on one rank (FSDP: StateDictType.FULL_STATE_DICT), and name that file.'

/**
 * A training job's folder in which no file holds the whole weights, by the names in it: what it is and how to consolidate it.
 */
export function distributedFolder(
  path: string,
  names: readonly string[],
): { found: string; remedy: string } | undefined {
  const has = (pattern: RegExp) => names.some(name => pattern.test(name))
  if (has(/\.distcp$/) || has(/^\.metadata$/)) {
    return {
      found: 'is a torch.distributed.checkpoint folder: each of its files holds a part of the weights',
      remedy: `Consolidate it, and name out.pt: ${consolidate(path)}`,
    }
  }
  if (has(/^zero_to_fp32\.py$/) || has(/(^|_)zero_pp_rank_\d+/) || has(/^global_step\d+$/) || has(/^mp_rank_\d+/)) {
    return {
      found: "is a DeepSpeed checkpoint: its weights lie in the ranks' pieces",
      remedy: `Consolidate it in that folder, and name out: ${ZERO}`,
    }
  }
  if (has(/_rank_?\d+\.(bin|pt|pth|ckpt)$/)) {
    return { found: "holds the ranks' pieces of the weights (FSDP shards)", remedy: WHOLE }
  }
  return undefined
}

/** @throws CheckpointError where the name is that of a part of a torch.distributed.checkpoint folder */
export function refusePart(path: string): void {
  if (!/\.distcp$/.test(path)) return
  throw new CheckpointError(
    path,
    'is one part of a torch.distributed.checkpoint folder',
    `Name the folder: ${dirname(path)}`,
  )
}

/**
 * A file that holds one rank's piece of the weights, by what its pickle holds: it must not pass for the model.
 * @throws CheckpointError with the command that consolidates the pieces
 */
export function refusePiece(path: string, root: Value): void {
  if (!(root instanceof Map)) return
  if (root.has('ds_version') || root.has('ds_config')) refuseDeepSpeed(path, root)
  const ranks = megatronRanks(root.get('args'))
  if (ranks > 1) {
    throw new CheckpointError(
      path,
      `is a piece of a Megatron-LM model that is split over ${ranks} ranks`,
      "Merge them: python tools/checkpoint/convert.py (Megatron-LM's own), or save in Hugging Face's layout.",
    )
  }
}

/** Whether a tensor's key or class says that it is a rank's part of several parameters laid end to end, or of one. */
export function isPiece(name: string, type: string): boolean {
  return /(^|\.)_?flat_param(_\d+)?$/.test(name) || /^torch\.distributed\..*\.(DTensor|ShardedTensor)$/.test(type)
}

/** The error for such a tensor. */
export function pieceOfTensor(where: string): CheckpointError {
  return new CheckpointError(
    where,
    "is one rank's piece of the weights (FSDP)",
    `${WHOLE} Of a folder of parts: ${consolidate('FOLDER')}`,
  )
}

function refuseDeepSpeed(path: string, root: Map<Value, Value>): void {
  const ranks = root.get('mp_world_size')
  const config = root.get('ds_config')
  const split = typeof ranks === 'number' && ranks > 1
  const stage = config instanceof Map ? (child(child(config, 'zero_optimization'), 'stage') ?? 0) : undefined
  if (root.has('module') && !split && typeof stage === 'number' && stage < 3) return
  throw new CheckpointError(
    path,
    "is one rank's piece of a DeepSpeed checkpoint",
    `Consolidate the folder above it, where zero_to_fp32.py lies: ${ZERO}`,
  )
}

function megatronRanks(args: Value | undefined): number {
  const state = args instanceof Inert ? args.state : undefined
  const sizes = ['tensor_model_parallel_size', 'pipeline_model_parallel_size'].map(key => child(state, key))
  return sizes.reduce((product: number, size) => product * (typeof size === 'number' ? size : 1), 1)
}

function child(value: Value | undefined, key: string): Value | undefined {
  return value instanceof Map ? value.get(key) : undefined
}
