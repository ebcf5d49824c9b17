import { CheckpointError } from '../errors.ts'
import { gunzipHead } from './onnx/gzip.ts'
import { isTar } from './torch/tar.ts'

/** A kind of file that is known and not read: what it is, and what to do. */
interface Foreign {
  readonly is: (head: Buffer) => boolean
  readonly found: string
  readonly remedy: string
}

const UNPACK = 'Unpack it before this step, and name the checkpoint in it.'
const PICKLE = 'Nothing of it was run. Load it where you trust it, and save its arrays: numpy.savez(path, **arrays).'

const text = (head: Buffer, from: number, length: number) => head.toString('latin1', from, from + length)
const begins =
  (...magics: string[]) =>
  (head: Buffer) =>
    magics.some(magic => text(head, 0, magic.length) === magic)
/** Flatbuffers have the kind behind the first offset. */
const fourth = (pattern: RegExp) => (head: Buffer) => pattern.test(text(head, 4, 4))

/** Equinox writes its leaves so (`tree_serialise_leaves`), its documentation with a line of JSON in front. */
const ARRAYS = {
  found: 'is NumPy arrays one after the other, without names, as Equinox writes its .eqx',
  remedy:
    'Load it (equinox.tree_deserialise_leaves), and save its arrays: numpy.savez(path, **{jax.tree_util.keystr(key): leaf for key, leaf in jax.tree_util.tree_leaves_with_path(equinox.filter(model, equinox.is_array))}).',
}
const ARRAY = '\x93NUMPY'

/** By content, the more particular first. */
const KINDS: readonly Foreign[] = [
  {
    is: fourth(/^TFL\d$/),
    found: 'is a TensorFlow Lite model',
    remedy:
      'Name the model that it was converted from: Keras (.keras, .h5) or ONNX (python -m tf2onnx.convert --tflite FILE --output model.onnx).',
  },
  {
    is: fourth(/^ET\d\d$/),
    found: 'is a program for ExecuTorch',
    remedy: 'Name the weights that it was exported from: torch.save(model.state_dict(), …).',
  },
  {
    is: fourth(/^ORTM$/),
    found: "is a model in ONNX Runtime's own format (ORT)",
    remedy:
      'Name the .onnx file that it was made of, or save that from the ORT file: SessionOptions.optimized_model_filepath = "model.onnx".',
  },
  {
    is: begins('lmgg', 'fmgg', 'tjgg', 'algg', 'ggml', 'ggjt', 'ggla'),
    found: "is in GGML's format of before GGUF",
    remedy:
      'Convert it with llama.cpp (convert_llama_ggml_to_gguf.py), or convert the model again: convert_hf_to_gguf.py.',
  },
  {
    is: begins('MATLAB 5.0 MAT-file'),
    found: "is MATLAB's file of version 5",
    remedy: "Save it as HDF5: save('model.mat', '-v7.3'), or as .npz: numpy.savez(path, **scipy.io.loadmat(FILE)).",
  },
  {
    is: head => begins('model_checkpoint_path:')(head),
    found: "is TensorFlow's note of its checkpoints, not one of them",
    remedy: 'Save as .h5 or .keras, or as .npz: numpy.savez(path, **{name: tf.train.load_variable(PREFIX, name) …}).',
  },
  { is: hasArraysBehind, ...ARRAYS },
  { is: begins('\x00\x05\x16\x07'), found: "is macOS's note beside a file (._…)", remedy: 'Name the file itself.' },
  {
    is: begins('\xfd7zXZ\x00', 'BZh', '(\xb5/\xfd', '7z\xbc\xaf\x27\x1c', 'Rar!'),
    found: 'is compressed',
    remedy: UNPACK,
  },
  {
    is: head => isTar(gunzipHead(head)),
    found: 'is a tar with gzip, as NeMo writes its .nemo',
    remedy: 'Unpack it (tar xzf FILE), and name the checkpoint in it (model_weights.ckpt).',
  },
  { is: begins('\x1f\x8b'), found: 'is compressed by gzip', remedy: UNPACK },
  { is: begins('x\x9c', 'x\xda', 'x\x01', 'ZF'), found: 'is compressed by zlib, as joblib does it', remedy: PICKLE },
  {
    is: begins('ftrt', 'ptrt'),
    found: 'is an engine of TensorRT',
    remedy: 'Name the .onnx file that it was built of.',
  },
  { is: begins('CBM1'), found: 'is a model of CatBoost, which has no weights', remedy: '' },
  {
    is: begins('\x12\x01\x00\x00\x00\x00\x00\x00'),
    found: "is MXNet's file of parameters",
    remedy: 'Export the model to ONNX: mx.onnx.export_model.',
  },
  {
    is: isGraphDef,
    found: 'is a frozen graph of TensorFlow (GraphDef)',
    remedy: 'Convert it: python -m tf2onnx.convert --graphdef FILE --output model.onnx --inputs … --outputs …',
  },
  {
    is: isSavedModel,
    found: 'is the graph of a TensorFlow SavedModel',
    remedy: 'Convert the folder: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx',
  },
  {
    is: isCoreMl,
    found: 'is a Core ML model',
    remedy: 'Name the model that it was converted from: PyTorch, Keras or ONNX.',
  },
  {
    is: isMsgpack,
    found: "is in flax's msgpack (flax.serialization.to_bytes)",
    remedy:
      'Save it as safetensors: safetensors.flax.save_file(flax.traverse_util.flatten_dict(params, sep="."), path).',
  },
  {
    is: head => isPickle(head) && /joblib|sklearn/.test(text(head, 0, 4096)),
    found: 'is a pickle as scikit-learn and joblib write it',
    remedy: PICKLE,
  },
  {
    is: head => isPickle(head) && /paddle|StructuredToParameterName/.test(text(head, 0, 4096)),
    found: 'is a pickle of PaddlePaddle (paddle.save)',
    remedy: PICKLE,
  },
  { is: isPickle, found: 'is a pickle, and none that torch.save wrote', remedy: PICKLE },
]

/** @throws CheckpointError for a kind of file that is known and not read */
export function refuseForeign(path: string, head: Buffer): void {
  const kind = KINDS.find(({ is }) => is(head))
  if (kind) throw new CheckpointError(path, kind.found, kind.remedy)
}

/** Whether it is a line of JSON with arrays behind it. */
export function hasArraysBehind(head: Buffer): boolean {
  return begins('{')(head) && head.includes(`\n${ARRAY}`, 'latin1')
}

/** @throws CheckpointError where another array begins behind the first one */
export function refuseSecondArray(path: string, behind: Buffer): void {
  if (begins(ARRAY)(behind)) throw new CheckpointError(path, ARRAYS.found, ARRAYS.remedy)
}

/** Folders in which a framework keeps a model in a way that is not read, by the names in them. */
export function foreignFolder(names: readonly string[]): { found: string; remedy: string } | undefined {
  const has = (pattern: RegExp) => names.some(name => pattern.test(name))
  if (has(/^_CHECKPOINT_METADATA$|^manifest\.ocdbt$|^ocdbt\.process_/)) {
    return {
      found: 'is a checkpoint of Orbax (JAX)',
      remedy:
        'Restore it and save it as safetensors: safetensors.flax.save_file(flax.traverse_util.flatten_dict(ocp.StandardCheckpointer().restore(PATH), sep="."), FILE).',
    }
  }
  if (has(/^saved_model\.pb(txt)?$/)) {
    return {
      found: 'is a TensorFlow SavedModel',
      remedy:
        'Save it as .keras or .h5, or convert it: python -m tf2onnx.convert --saved-model FOLDER --output model.onnx',
    }
  }
  if (has(/\.data-\d+-of-\d+$/)) {
    return {
      found: 'is a checkpoint of TensorFlow',
      remedy:
        'Save it as .h5 or .keras, or its variables as .npz: numpy.savez(path, **{name: tf.train.load_variable(PREFIX, name) for name, _ in tf.train.list_variables(PREFIX)}).',
    }
  }
  if (has(/^com\.apple\.CoreML$/) || (has(/^Manifest\.json$/) && has(/^Data$/))) {
    return {
      found: 'is a Core ML package',
      remedy: 'Name the model that it was converted from: PyTorch, Keras or ONNX.',
    }
  }
  return undefined
}

/** Zips that torch writes beside torch.save's, by their members. */
export function foreignZip(names: readonly string[]): { found: string; remedy: string } | undefined {
  const has = (pattern: RegExp) => names.some(name => pattern.test(name))
  if (has(/(^|\/)archive_format$|\/models\/[^/]+\.json$|(^|\/)serialized_exported_program\.json$/)) {
    return {
      found: "is torch.export's archive of a program (.pt2)",
      remedy: 'Save its weights: torch.save(torch.export.load(FILE).state_dict, path).',
    }
  }
  if (has(/(^|\/)\.data\/(extern_modules|version|python_version)$/)) {
    return {
      found: 'is an archive of torch.package',
      remedy:
        'Save the weights of the model in it: torch.save(PackageImporter(FILE).load_pickle(…).state_dict(), path).',
    }
  }
  return undefined
}

function isPickle(head: Buffer): boolean {
  if (head[0] === 0x80) return head[1] >= 2 && head[1] <= 5
  return /^\((?:dp|lp|i)\d|^c[\w.]+\n\w+\n/.test(text(head, 0, 64))
}

/** A map whose first key is short text. */
function isMsgpack(head: Buffer): boolean {
  const [first, key] = [head[0], head[1] & 0x1f]
  const letters = text(head, 2, key)
  return (
    first > 0x80 &&
    first <= 0x8f &&
    head[1] > 0xa0 &&
    head[1] <= 0xbf &&
    /^[\w./-]+$/.test(letters) &&
    letters.length === key
  )
}

/** Nodes of protobuf, each with its name and its kind. */
function isGraphDef(head: Buffer): boolean {
  let at = 0
  if (head[at++] !== 0x0a) return false
  while (head[at] >= 0x80) at++
  at++
  if (head[at] !== 0x0a || head[at + 1] >= 0x80) return false
  const name = text(head, at + 2, head[at + 1])
  at += 2 + head[at + 1]
  return head[at] === 0x12 && /^[\w./-]+$/.test(name) && /^[A-Z]\w+$/.test(text(head, at + 2, head[at + 1]))
}

function isSavedModel(head: Buffer): boolean {
  const graph = /tensorflow|stripped_op_list|VarHandleOp|serving_default|saved_model/.test(text(head, 0, 4096))
  return begins('\x08\x01\x12')(head) && graph
}

/** The version of the specification, then the description. */
function isCoreMl(head: Buffer): boolean {
  return head[0] === 0x08 && head[1] >= 1 && head[1] <= 20 && head[2] === 0x12
}
