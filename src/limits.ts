const KiB = 1024
const MiB = 1024 * KiB

/**
 * Every bound on what a hostile file, artifact or server may ask of us, by the room that it guards. The end of a name is its unit;
 * the line above says what is the largest honest case known, or the attack.
 */
export const limits = {
  /** Text in JSON, wherever strangers wrote it. */
  json: {
    /** A header nests 3 deep, a report 9; deep nesting overflows a parser's stack. */
    nestingLevels: 16,
    /** Commas, colons and brackets: 250,000 tensors in a header need about 4 million. A million empty objects take a gigabyte. */
    marksCount: 5_000_000,
  },

  /** Common to every kind of checkpoint. */
  checkpoint: {
    /** Mixtures of experts have the most: DeepSeek-V3 91,991, with its scales. */
    tensorsCount: 250_000,
    /** NumPy's own bound before 2.0, and HDF5's. */
    dimensionsCount: 32,
    /** Honest names have a few hundred at most. */
    nameCharacters: 4_096,
    /** The list of what lies beside the weights is for people. */
    ignoredEntries: 1_000,
    /** A view may repeat its storage (torch's expand): a few bytes must not become terabytes. */
    expandedElements: 16 * MiB,
    /** Different views of the same bytes, as fused weights have, together: so many times the file, beside the above. */
    viewsRatio: 16,
    /** Products that the spectra of much made of few bytes may take, beside so many a byte: about 3 seconds; a matrix of 2,700 squared. */
    expandedWork: 20_000_000_000,
    workRatio: 32_768,
    /** Up to so many bytes for each that is stored, any work: weights hardly deflate. */
    workfreeRatio: 16,
    /** The state of a quantised tensor, as JSON: about 200 bytes. */
    stateBytes: 64 * KiB,
    /** DeepSeek-V3's has 9 MiB. */
    shardIndexBytes: 64 * MiB,
    /** config.json and its like beside a model: a few KiB. */
    configBytes: 4 * MiB,
    /** Commas, colons and brackets in it: a million empty objects take a hundred megabytes. */
    configMarks: 500_000,
  },

  /** What reading one file may take, counted over all of its readers (bytes/budget.ts); `zip` has what may be inflated. */
  work: {
    /** About 20 opcodes a tensor in a pickle, 30 fields a node in ONNX; an empty field takes 2 bytes of a file. */
    stepsCount: 10_000_000,
    /** For each byte that is stored: structures of HDF5 can be referred to over and over. */
    stepsRatio: 8,
    /** Below this, any ratio: less than a second. */
    anyStepsCount: 1_000_000,
    /** All names together: 250,000 of 250 each. */
    namesCharacters: 64 * MiB,
    /** Bytes read for each that is stored: windows overlap, HDF5 is read in pages of 64 KiB. */
    readRatio: 16,
    /** Below this, any ratio. */
    anyReadBytes: 64 * MiB,
  },

  /** Zip archives and what is deflated in them. */
  zip: {
    /** torch.save writes an entry a storage. */
    entriesCount: 200_000,
    /** A member that has to be inflated whole. */
    memberBytes: 256 * MiB,
    /** Weights hardly deflate; a bomb does a thousandfold. */
    inflateRatio: 200,
    /** Below this, any ratio. */
    anyRatioBytes: MiB,
    /** The same of what is unpacked in pieces: layers that begin as zeros deflate 1032 times. */
    zerosBytes: 256 * MiB,
  },

  safetensors: {
    /** The bound of the reference implementation. */
    headerBytes: 100 * MiB,
  },

  /** Python's pickles, which hold names and shapes alone: the weights lie beside them. */
  pickle: {
    /** About 200 bytes a tensor. */
    bytes: 64 * MiB,
    /** Python itself gives up at a thousand. */
    nestingLevels: 1_000,
    /** What an unpickler may have at once, each of them a way to ask for gigabytes in a few bytes. */
    objectsCount: 1_000_000,
    memoEntries: 1_000_000,
    /** Numbers as keys that are not 0, 1, 2 and so on: optimizers had a number for each parameter as its key. */
    scatteredKeys: 20_000,
    stackValues: 1_000_000,
    /** One integer: a long number takes time that grows with the square of its length. */
    integerBytes: 1_024,
    /** One string: a longer one stays undecoded. */
    stringBytes: MiB,
    /** What all that may take, by an estimate on the safe side. */
    memoryBytes: 128 * MiB,
  },

  hdf5: {
    /** One structure. */
    blockBytes: 32 * MiB,
    /** Of one object's header. */
    messagesCount: 65_536,
    /** B-trees and groups; Keras nests about 10 deep. */
    nestingLevels: 32,
    /** In all groups of a file. */
    linksCount: 1_000_000,
    /** Of one dataset. */
    chunksCount: 1_000_000,
    /** A chunk is unpacked whole; h5py guesses at most 1 MiB. */
    chunkBytes: 32 * MiB,
    /** What is assembled of a dataset at once. */
    slabBytes: 16 * MiB,
    /** Keras and h5py stack at most 3. */
    filtersCount: 8,
  },

  /** Files of DVC in a repository: one for each dataset, or for each pipeline, which may say much. */
  dvc: {
    filesCount: 10_000,
    fileBytes: 4 * MiB,
    bytes: 16 * MiB,
  },

  /** torch.distributed.checkpoint. */
  distributed: {
    /** Of one tensor: one a rank. */
    partsCount: 16_384,
    /** Cuts, one after the other, that tell all parts of a tensor apart: one a dimension that is sharded. */
    cutLevels: 32,
  },

  adapter: {
    /** Each module is held against each pattern of a config, of which the largest have a thousand of each. */
    patternComparisonsCount: 10_000_000,
    /** Expressions that name modules: those of vision models have a few hundred, and a state for nearly each. */
    expressionCharacters: 16_384,
    expressionStates: 65_536,
    expressionLevels: 64,
    /** Of all modules: 50,000 of a mixture of experts take 30 million. */
    expressionSteps: 100_000_000,
    /** Multiply-adds that all elements of what the updates add up to may take, beside so many a byte: 5 seconds. */
    anyWork: 2_000_000_000,
    /** Rank 1 of 16,384 × 53,248, the widest weight of Llama 3.1 405B, in half precision has 69,000. */
    workRatio: 70_000,
  },

  keras: {
    /** The JSON in which Keras keeps a model's layers: a few hundred KiB for the largest. */
    configBytes: 4 * MiB,
    /** Models within models. */
    nestingLevels: 16,
    /** Of its JSON: layers nest, and so do their options. */
    jsonLevels: 128,
    jsonMarks: 500_000,
    /** Of the places of all layers, each of which has those of the models around it in front. */
    placesCharacters: 8 * MiB,
  },

  numpy: {
    /** NumPy itself refuses more unless it is told to trust the file. */
    headerBytes: 64 * KiB,
    nestingLevels: 8,
  },

  onnx: {
    /** What protobuf itself allows of one message, unpacked. */
    messageBytes: 2048 * MiB,
    /** The largest exports have about 100,000. */
    nodesCount: 500_000,
    /** Of one node. */
    attributesCount: 1_000,
    /** Inputs of one node, and as many outputs: a function of a whole layer has dozens. */
    operandsCount: 10_000,
    /** Graphs within graphs, and functions within functions. */
    nestingLevels: 32,
    /** Nodes that calls of functions stand for. */
    inlinedCount: 100_000,
    /** Constants that say how weights are reshaped: exporters fold nearly all. */
    shapesCount: 10_000,
    /** What has fewer can't be a layer. */
    leastElementsCount: 100,
    /** Matrices in one tensor that MatMul takes as a batch. */
    stackedCount: 65_536,
    /** Nodes between a tensor and those that apply it: a tied embedding has a few. */
    usesCount: 10_000,
    /** Of all tensors. */
    stepsCount: 10_000_000,
    /** Scales and zero points that are kept with a tensor: one for each row of the widest weight. */
    inlineBytes: MiB,
  },

  gguf: {
    /** Metadata: a tokenizer's are the most, about 60. */
    pairsCount: 65_536,
    nestingLevels: 4,
    /** 32 bytes by default. */
    alignmentBytes: MiB,
  },

  /** What is kept of the configs beside weights. */
  settings: {
    /** Multimodal models have about 150, those of quantisations included; more become one digest. */
    count: 512,
    /** Of a key or a value; longer ones become their digests. */
    characters: 200,
    /** Objects within objects: compressed-tensors has 4. */
    nestingLevels: 8,
  },

  quantised: {
    /** Scales, zero points or group indices of one tensor, which are held whole. */
    partBytes: 64 * MiB,
    /** A row of values is held whole. */
    rowElements: 16 * MiB,
  },

  /** The tar that PyTorch 0.1 wrote. */
  tar: {
    /** It writes five. */
    membersCount: 64,
    /** Of storages, and of tensors: each is listed with a pickle of its own. */
    entriesCount: 65_536,
  },

  spectrum: {
    /** How much of a tensor is read at once. */
    chunkBytes: 8 * MiB,
    /** Of tensors that stay unpacked on the disk until they are done with; those beyond are unpacked each time. */
    unpackedBytes: 2048 * MiB,
    unpackedCount: 256,
    /** One matrix in memory, whose largest eigenvalue alone is looked for: 15,000 × 32,000 in single precision. */
    residentBytes: 2048 * MiB,
    /** Side of the image on which a convolution is an operator: ImageNet's have 224. */
    gridPoints: 256,
    /** The same where the image may have three dimensions: as many points as one of 256 × 256 has. */
    cubePoints: 40,
    /** Kernel slices are shuffled together up to this, one by one above: a kernel of 512 filters of 512 channels takes 18 MiB. */
    shuffledBytes: 64 * MiB,
    /** Kernel slices that lie among each other are picked out together up to this: each time, all of the kernel is read. */
    pickedBytes: 64 * MiB,
  },

  metrics: {
    /** Fewer draws leave less than three beyond each end of an interval. */
    bootstrapLeast: 100,
    /** Each is fitted anew: p is known to 0.01 by 2,500, and 10,000 take minutes of a layer of 10,000 eigenvalues. */
    bootstrapMost: 10_000,
  },

  report: {
    /** About 2 KiB a layer. */
    bytes: 256 * MiB,
    /** As of `json`. */
    marksCount: 50_000_000,
    /** Of the baseline, kept to be drawn: up to 2.5 KiB each; most changes are in the first. */
    baseSpectraCount: 10_000,
    /** GitHub's bound on a comment, less room for the marker that identifies it. */
    commentCharacters: 65_536 - 256,
    /** A project's own metrics. */
    customMetricsBytes: MiB,
    customMetricsCount: 200,
  },

  /** The page that is drawn of a report. */
  page: {
    /** Rows of the tables of layers, all models together: a browser takes a second for 5,000. */
    layersCount: 5_000,
    /** Each has plots of its own. */
    modelsCount: 50,
    /** Rules, tensors, models of a series: rows of a table that is read whole. */
    rowsCount: 500,
  },

  config: {
    /** A config file is written by hand. */
    bytes: 256 * KiB,
    /** Patterns of include, or of exclude: the report has them all. */
    linesCount: 1_000,
    /** Items, keys, brackets, tags: a thousand patterns have four thousand. Keys are each held against all others, as errors are. */
    marksCount: 8_000,
    /** Options are texts and lists of texts; a text may hold brackets. The parser gives up at about 800. */
    nestingLevels: 100,
  },

  rules: {
    /** Of a pattern, to which braces multiply: each name is held against each. */
    alternativesCount: 64,
  },

  /** What is asked of GitHub, and what it may answer. */
  github: {
    /** The event that started the job. */
    eventBytes: 64 * MiB,
    /** Of a hundred events of a pull request: who put a label there, and when. */
    eventPages: 30,
    /** The archive of a baseline. */
    archiveBytes: 64 * MiB,
    /** How far back a baseline is looked for. */
    baselineCommits: 100,
    /** Of a hundred commits each. */
    commitPages: 5,
    /** Of a hundred artifacts each. */
    artifactPages: 10,
    /** Whose runs are looked through where there are more. */
    artifactCommits: 20,
    /** Looked up one by one. */
    artifactRuns: 40,
    /** Archives of earlier baselines, read for a trend that is no more than nice to have. */
    historyBytes: 32 * MiB,
    historyMilliseconds: 15_000,
  },

  /** What is read of a run that anybody may have made, to comment on it: all its reports together. */
  relay: {
    /** Each is a request of the thousand that a repository has an hour. A matrix of 32 that ran again has 64. */
    artifactsCount: 64,
    archiveBytes: 64 * MiB,
    /** About 3 KiB a layer, 6 where it is compared: a matrix of 12 models of 500 layers has 32 MiB. */
    bytes: 64 * MiB,
    /** About 300 a layer, 600 where it is compared. As of `json`. */
    marksCount: 8_000_000,
    /** Of any list of a report that has no bound of its own: layers, rules. */
    listEntries: 20_000,
    /** Of one report: each is looked up among the others, and has rules of its own. */
    modelsCount: 500,
    milliseconds: 30_000,
  },

  /** Lists and tables of models with their accuracies. */
  series: {
    /** A row of 40 columns has about 400 bytes. */
    bytes: 4 * MiB,
    /** All files together. A sweep of hyper-parameters has hundreds; what pairs cost grows with the square. */
    modelsCount: 2_000,
    /** Settings, accuracies and metrics of one model. */
    columnsCount: 200,
    /** Each is tested, bootstrapped and drawn. */
    metricsCount: 40,
    /** Of YAML: keys and items, four of a row of three columns. */
    marksCount: 500_000,
    nestingLevels: 20,
    /** Of a model, a group or a column. */
    nameCharacters: 256,
    /** Each has a trend line, and a slope of its own in the test. */
    groupsCount: 500,
    /** Squares of larger numbers leave the range of a double. */
    largestNumber: 1e100,
  },

  folder: {
    /** A folder that is looked through for reports. */
    entriesCount: 10_000,
    /** Of sentence-transformers: three or four. */
    modulesCount: 64,
  },
} as const
