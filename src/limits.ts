const KiB = 1024
const MiB = 1024 * KiB

/** Every bound on what a hostile file may ask of us. Sizes are in bytes unless said otherwise. */
export const limits = {
  /** The JSON header of a safetensors file: the bound of the reference implementation. */
  safetensorsHeader: 100 * MiB,
  /** JSON from strangers: its nesting, and its commas, colons and brackets: of a header or index, of a report. */
  jsonDepth: 16,
  jsonMarks: 5_000_000,
  reportMarks: 50_000_000,
  /** Scales, zero points or group indices of one quantised tensor; the config.json beside a model. */
  quantisedPart: 64 * MiB,
  modelConfig: 4 * MiB,
  /** Entries of a folder that is looked through for reports. */
  folderEntries: 10_000,
  /** A shard index, a pointer file's folder listing, an earlier report. */
  index: 64 * MiB,
  report: 256 * MiB,
  /** A project's own figures: the file, and how many it names. */
  figures: MiB,
  figureCount: 200,
  /** Pages of a hundred events of a pull request, and of a hundred runs of a commit. */
  eventPages: 30,
  /** The pickle of a PyTorch checkpoint: names and shapes only, the weights lie beside it. */
  pickle: 64 * MiB,
  pickleOpcodes: 5_000_000,
  pickleDepth: 1_000,
  tensors: 250_000,
  dimensions: 32,
  /** Characters of a tensor's name. */
  name: 4_096,
  zipEntries: 200_000,
  /** A compressed member that has to be inflated whole, and how many times its compressed size it may reach. */
  inflated: 256 * MiB,
  inflateRatio: 200,
  /** GitHub's bound on a comment, in characters, less room for the marker that identifies it. */
  comment: 65_536 - 256,
  /** How much of a tensor is read at once. */
  chunk: 8 * MiB,
  /** Members smaller than this may have any ratio: zeros compress a thousandfold. */
  inflateRatioFrom: MiB,
  /** What an unpickler may have at once: containers and objects, memo entries, values on its stack. */
  pickleObjects: 1_000_000,
  pickleMemo: 1_000_000,
  pickleStack: 1_000_000,
  /** Of one pickled integer; of one pickled string, a longer one stays undecoded. */
  pickleLong: 1_024,
  pickleString: MiB,
  /** Characters of all tensors' names together, and of all members' names of a zip. */
  names: 64 * MiB,
  /** Elements of a view that has more of them than its storage holds (torch's expand). */
  expanded: 16 * MiB,
  /** Entries of the list of what a checkpoint holds beside its weights. */
  ignored: 1_000,
  /** The archive of a baseline; the report in it may have `report` bytes. */
  baselineArchive: 64 * MiB,
  /** How many commits back a baseline is looked for, and how many requests that may take. */
  baselineDistance: 100,
  commitPages: 5,
  /** Pages of 100 artifacts that are looked through for baselines, and runs that are looked up one by one. */
  artifactPages: 10,
  artifactRuns: 40,
  /** Archives of earlier baselines read for a trend, in bytes and in milliseconds. */
  historyArchives: 32 * MiB,
  historyTime: 15_000,
  /** A config file. */
  config: 256 * KiB,
  /** The header of a NumPy array, and how deep its tuples nest. */
  npyHeader: 64 * KiB,
  npyDepth: 8,
  /** Structures of an HDF5 file: one of them, and all that are read to describe it (also at most 8 times the file, plus 1 MiB). */
  hdf5Block: 32 * MiB,
  hdf5Structures: 256 * MiB,
  /** Messages of one object header, B-tree levels, nested groups. */
  hdf5Messages: 65_536,
  hdf5Depth: 32,
  /** Chunks of one dataset; the bytes of one chunk, and what is assembled of a dataset at once. */
  hdf5Chunks: 1_000_000,
  hdf5Chunk: 32 * MiB,
  hdf5Slab: 16 * MiB,
  hdf5Filters: 8,
  /** The JSON in which Keras keeps a model's layers, and how deep they nest. */
  kerasConfig: 4 * MiB,
  kerasDepth: 16,
  /** A protobuf message, unpacked: what protobuf itself allows. */
  protobuf: 2048 * MiB,
  /** Protobuf fields that describing an ONNX file may visit, its nodes, a node's attributes, graphs within graphs. */
  onnxFields: 10_000_000,
  onnxNodes: 500_000,
  onnxAttributes: 1_000,
  onnxDepth: 32,
  /** Key/value pairs of a GGUF file, what their arrays may hold together, arrays within arrays. */
  ggufPairs: 65_536,
  ggufValues: 5_000_000,
  ggufDepth: 4,
  ggufAlignment: MiB,
  /** Memory that an unpickled pickle may take, by an estimate on the safe side. */
  pickleMemory: 128 * MiB,
} as const
