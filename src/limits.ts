const KiB = 1024
const MiB = 1024 * KiB

/** Every bound on what a hostile file may ask of us. Sizes are in bytes unless said otherwise. */
export const limits = {
  /** The JSON header of a safetensors file: the bound of the reference implementation. */
  safetensorsHeader: 100 * MiB,
  /** A shard index, a pointer file's folder listing, an earlier report. */
  index: 64 * MiB,
  report: 256 * MiB,
  /** The pickle of a PyTorch checkpoint: names and shapes only, the weights lie beside it. */
  pickle: 128 * MiB,
  pickleOpcodes: 20_000_000,
  pickleDepth: 1_000,
  tensors: 1_000_000,
  dimensions: 32,
  /** Characters of a tensor's name. */
  name: 4_096,
  zipEntries: 1_000_000,
  /** A compressed member that has to be inflated whole, and how many times its compressed size it may reach. */
  inflated: 256 * MiB,
  inflateRatio: 200,
  /** How much of a tensor is read at once. */
  chunk: 8 * MiB,
} as const
