import { RandomAccessFile } from '../../bytes/file.ts'
import { ReadAhead } from '../../bytes/read-ahead.ts'
import { CheckpointError, RESAVE } from '../../errors.ts'
import type { Contents, Reader } from '../reader.ts'
import { ExternalData } from './external.ts'
import { GraphReader } from './graph.ts'
import { gunzipHead, remove, unpackToTemporary } from './gzip.ts'
import { beginsModel } from './recognise.ts'
import { TensorReader } from './tensor.ts'
import type { OnnxTensor } from './types.ts'
import { LENGTH, tag, Wire } from './wire.ts'

const GRAPH = tag(7, LENGTH)
const TRAINING_INFO = tag(20, LENGTH)
const FUNCTION = tag(25, LENGTH)

/** ONNX: a ModelProto of protobuf, or one within gzip. Its tensors' values are not read, only where they lie. */
export const onnx: Reader = {
  format: 'onnx',

  recognises({ head }) {
    return beginsModel(head) || beginsModel(gunzipHead(head))
  },

  async read(file) {
    if ((await file.read(0, 1))[0] !== 0x1f) return describe(file, file.path, file)
    const path = await unpackToTemporary(file.path, file.size)
    const unpacked = await RandomAccessFile.open(path, file.budget)
    try {
      return await describe(file, path, unpacked)
    } catch (error) {
      await remove(path)
      throw error
    } finally {
      await unpacked.close()
    }
  },
}

interface OnnxContents extends Contents {
  readonly tensors: readonly OnnxTensor[]
  /** Of the model and the files beside it that hold its weights. */
  readonly bytes: number
}

/**
 * @param named the file that errors name
 * @param path of the file that holds the model, unpacked
 */
async function describe(named: RandomAccessFile, path: string, unpacked: RandomAccessFile): Promise<OnnxContents> {
  const source = {
    path: named.path,
    size: unpacked.size,
    budget: named.budget,
    readInto: (target: Uint8Array, offset: number) => unpacked.readInto(target, offset),
  }
  const wire = new Wire(new ReadAhead(source))
  const external = new ExternalData(named.path)
  const graphs = new GraphReader(wire, new TensorReader(wire, path, external))
  const ignored = new Set<string>()
  let found = false
  await wire.walk(0, source.size, field => {
    switch (field.tag) {
      case GRAPH:
        // Protobuf would make one of two.
        if (found) throw new CheckpointError(named.path, 'has its graph in two pieces', RESAVE)
        found = true
        return graphs.graph(field)
      case TRAINING_INFO:
        ignored.add('training_info')
        return
      case FUNCTION:
        return graphs.function(field)
    }
  })
  if (!found) throw new CheckpointError(named.path, 'is an ONNX model without a graph', 'Export it again.')
  await graphs.finish()
  const { bytes, stamps } = external
  return { tensors: graphs.tensors, stateDict: '', ignored: [...ignored], bytes: named.size + bytes, stamps }
}
