/** A node's name and kind, and its first inputs. */
export interface NodeHead {
  readonly name: string
  readonly op: string
  readonly inputs: readonly string[]
  readonly output: string
}

const WEIGHT_AND_BIAS = ['', 'weight', 'bias']
const RECURRENT = ['', 'weight_ih', 'weight_hh']

/** What a node's inputs are to it, '' for its data. */
const ROLES: ReadonlyMap<string, readonly string[]> = new Map([
  ['Gemm', ['weight', 'weight', 'bias']],
  ['FusedGemm', ['weight', 'weight', 'bias']],
  ['MatMul', ['weight', 'weight']],
  ['FusedMatMul', ['weight', 'weight']],
  ['Conv', WEIGHT_AND_BIAS],
  ['FusedConv', WEIGHT_AND_BIAS],
  ['ConvTranspose', WEIGHT_AND_BIAS],
  ['Gather', ['weight']],
  ['LSTM', RECURRENT],
  ['GRU', RECURRENT],
  ['RNN', RECURRENT],
  ['QLinearConv', ['', '', '', 'weight']],
  ['QLinearMatMul', ['', '', '', 'weight']],
  ['QGemm', ['', '', '', 'weight']],
  ['MatMulNBits', ['', 'weight']],
])

/** Nodes that hand their first input on as the same weights. */
const PASSING = new Set(['Identity', 'Transpose', 'Cast', 'DequantizeLinear', 'Reshape', 'Squeeze', 'Unsqueeze'])
const HOPS = 8

/** How many of a node's inputs say what they are: the first so many. */
export const INPUTS = 4

/** Whether a node of this kind says what its inputs are, or hands one on. */
export function tells(op: string): boolean {
  return ROLES.has(op) || PASSING.has(op)
}

/** Whether a tensor's name was made up by an exporter: `123`, `onnx::MatMul_123`, `val_4`, `/fc/Constant_output_0`. */
export function isMadeUp(name: string): boolean {
  return /^(?:\d+|onnx::\w+|val_\d+|_v_\d+|const_fold_opt__\d+|(?:.*\/)?Constant(?:_\d+)?(?:_output_\d+)?)(?:_quantized|(?:_DQ)?_Q[248])?$/.test(
    name,
  )
}

/** The values of one graph by the nodes that use them: keys for tensors whose names were made up. */
export class Uses {
  readonly #labels = new Map<string, string>()
  readonly #passed = new Map<string, string>()

  /** The first use of a value counts. */
  add({ name, op, inputs, output }: NodeHead): void {
    if (PASSING.has(op)) {
      if (inputs[0] && !this.#passed.has(inputs[0])) this.#passed.set(inputs[0], output)
      return
    }
    const layer = layerPath(name, op)
    if (!layer) return
    for (const [i, role] of (ROLES.get(op) ?? []).entries()) {
      if (role && inputs[i] && !this.#labels.has(inputs[i])) this.#labels.set(inputs[i], `${layer}.${role}`)
    }
  }

  /** `fc.weight` for the weight of the node `/fc/MatMul`; undefined where no node with a name uses it. */
  label(value: string): string | undefined {
    for (let hop = 0; hop < HOPS; hop++) {
      const label = this.#labels.get(value)
      const next = this.#passed.get(value)
      if (label || !next) return label
      value = next
    }
    return undefined
  }

  /** Takes over what a graph within this one uses of values from outside. */
  inherit(inner: Uses, defined: ReadonlySet<string>): void {
    for (const [value, label] of inner.#labels) {
      if (!defined.has(value) && !this.#labels.has(value)) this.#labels.set(value, label)
    }
  }
}

/**
 * The layer's path that a node's name holds. PyTorch names nodes by their modules, each with its parent's last component in front:
 * `/layer1/layer1.0/conv1/Conv` is `layer1.0.conv1`.
 */
function layerPath(name: string, op: string): string {
  const parts = name.split('/').filter(Boolean)
  // What ONNX Runtime quantises to a few bits it calls so behind the float's name.
  const own = (parts.at(-1) ?? '').replace(/(?:_matmul)?_Q[248]$/, '')
  // ONNX Runtime puts `_quant` behind what it quantises, and makes another kind of it.
  if (
    parts.length > 1 &&
    (own === op ||
      (own === 'MatMul' && op === 'MatMulNBits') ||
      (/^Q(?:Linear)?[A-Z]/.test(op) && `Q${own}`.replace('_quant', '') === op.replace('Linear', '')))
  )
    parts.pop()
  if (!name.startsWith('/')) return parts.join('/')
  return parts.filter((part, i) => !parts[i + 1]?.startsWith(`${part}.`)).join('.')
}
