/** Fields of ModelProto by number: the wire type of each. Source: onnx/onnx.proto of onnx 1.23. */
const MODEL: ReadonlyMap<number, number> = new Map([
  [1, 0],
  [2, 2],
  [3, 2],
  [4, 2],
  [5, 0],
  [6, 2],
  [7, 2],
  [8, 2],
  [14, 2],
  [20, 2],
  [25, 2],
  [26, 2],
])
const IR_VERSION = 1
const DOC_STRING = 6
const GRAPH = 7
/** Of GraphProto: node, name, initializer, doc_string, input, output, value_info, quantization_annotation, sparse_initializer, … */
const GRAPH_TAGS = new Set([1, 2, 5, 10, 11, 12, 13, 14, 15, 16].map(number => number * 8 + 2))
const TEXTS = new Set([2, 3, 4])

/**
 * Whether bytes begin a ModelProto: `ir_version` first, as every writer has it, then fields of ModelProto alone up to the graph.
 * Other protobuf files that begin alike differ before it: TensorFlow's SavedModel and Core ML have a message where the
 * producer's name stands here, and fields of other numbers.
 */
export function beginsModel(head: Buffer): boolean {
  let at = 0
  const varint = () => {
    let value = 0
    for (let factor = 1; at < head.length && factor < Number.MAX_SAFE_INTEGER; factor *= 128) {
      const byte = head[at++]
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    return -1
  }
  while (at < head.length) {
    const first = at === 0
    const tag = varint()
    const number = tag >>> 3
    if (MODEL.get(number) !== (tag & 7) || first !== (number === IR_VERSION)) return false
    const value = varint()
    if (value < 0) return false
    if (first && (value < 1 || value > 255)) return false
    if ((tag & 7) === 0) continue
    if (number === GRAPH) return at === head.length || GRAPH_TAGS.has(head[at])
    if (at + value > head.length) return number === DOC_STRING
    if (TEXTS.has(number) && !isText(head.subarray(at, at + value))) return false
    at += value
  }
  return false
}

function isText(bytes: Buffer): boolean {
  return bytes.every(byte => byte >= 0x20 && byte !== 0x7f)
}
