import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { markdownTable } from 'markdown-table'
import { fillHeavyTailed } from './matrices.ts'
import { measure, median, type Python, type Usage } from './python.ts'

type Shapes = [string, number[]][]

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))
const WEIGHTWATCHER = fileURLToPath(new URL('../../bench/weightwatcher_analyze.py', import.meta.url))

function gpt2(): Shapes {
  const block = (i: number): Shapes => [
    [`h.${i}.attn.c_attn.weight`, [768, 2304]],
    [`h.${i}.attn.c_proj.weight`, [768, 768]],
    [`h.${i}.mlp.c_fc.weight`, [768, 3072]],
    [`h.${i}.mlp.c_proj.weight`, [3072, 768]],
  ]
  return [
    ['wte.weight', [50257, 768]],
    ['wpe.weight', [1024, 768]],
    ...Array.from({ length: 12 }, (_, i) => block(i)).flat(),
  ]
}

function resnet50(): Shapes {
  const shapes: Shapes = [['conv1.weight', [64, 3, 7, 7]]]
  let inner = 64
  for (const [layer, [width, blocks]] of [
    [64, 3],
    [128, 4],
    [256, 6],
    [512, 3],
  ].entries()) {
    for (let b = 0; b < blocks; b++) {
      const name = `layer${layer + 1}.${b}`
      shapes.push(
        [`${name}.conv1.weight`, [width, inner, 1, 1]],
        [`${name}.conv2.weight`, [width, width, 3, 3]],
        [`${name}.conv3.weight`, [4 * width, width, 1, 1]],
      )
      if (b === 0) shapes.push([`${name}.downsample.0.weight`, [4 * width, inner, 1, 1]])
      inner = 4 * width
    }
  }
  return [...shapes, ['fc.weight', [1000, 2048]]]
}

const llama: Shapes = [
  ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name): Shapes[number] => [
    `layers.0.self_attn.${name}.weight`,
    [4096, 4096],
  ]),
  ['layers.0.mlp.gate_proj.weight', [11008, 4096]],
  ['layers.0.mlp.up_proj.weight', [11008, 4096]],
  ['layers.0.mlp.down_proj.weight', [4096, 11008]],
]

/** Whole processes, start-up included: the command line beside Python WeightWatcher on the same file. */
export async function benchModels(python: Python, quick: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-bench-'))
  try {
    const rows: string[][] = []
    const resnet20 = fileURLToPath(new URL('../../../shared/checkpoints/resnet20.safetensors', import.meta.url))
    if (existsSync(resnet20)) rows.push(await compare('ResNet-20', resnet20, [], python, 5))
    rows.push(await compare('ResNet-50 shapes', write(folder, 'resnet50', resnet50(), 'F32'), [], python, 3))
    if (!quick) {
      const path = write(folder, 'gpt2', gpt2(), 'F32')
      rows.push(await compare('GPT-2 small shapes', path, [], python, 3))
      rows.push(await compare('… with max-n 0', path, ['--max-n', '0'], undefined, 3))
      rows.push(await compare('bf16 4096×11008', write(folder, 'down', llama.slice(-1), 'BF16'), [], undefined, 1))
      rows.push(await compare('Llama-7B layer, bf16', write(folder, 'llama', llama, 'BF16'), [], undefined, 1))
    }
    console.log('Whole runs, 2 workers, seconds (median) and megabytes of resident memory at the most\n')
    const header = ['model', 'wall', 'CPU', 'peak MB', 'WeightWatcher analyze()', 'WeightWatcher, whole process']
    console.log(markdownTable([header, ...rows], { align: ['l', 'r', 'r', 'r', 'r', 'r'] }))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function compare(
  name: string,
  path: string,
  options: string[],
  python: Python | undefined,
  repeats: number,
): Promise<string[]> {
  const ours: Usage[] = []
  for (let i = 0; i < repeats; i++)
    ours.push(
      await measure(process.execPath, [CLI, path, '--workers', '2', '--json', '/dev/null', '--csv', '-', ...options]),
    )
  const wall = median(ours.map(usage => usage.wall))
  const row = [
    name,
    wall.toFixed(2),
    median(ours.map(usage => usage.cpu)).toFixed(2),
    Math.max(...ours.map(usage => usage.peak)).toFixed(0),
  ]
  if (!python?.weightwatcher) return [...row, '', '']
  const theirs = await measure(python.path, [WEIGHTWATCHER, path])
  const analyze = Number(/ANALYZE (\S+)/.exec(theirs.stdout)![1])
  const ratio = (seconds: number) => `${seconds.toFixed(2)} (ours ${(wall / seconds).toFixed(2)}×)`
  return [...row, ratio(analyze), ratio(theirs.wall)]
}

/** A safetensors file with heavy-tailed weights. */
function write(folder: string, name: string, shapes: Shapes, dtype: 'F32' | 'BF16'): string {
  const path = join(folder, `${name}.safetensors`)
  const width = dtype === 'F32' ? 4 : 2
  let offset = 0
  const header: Record<string, unknown> = {}
  for (const [key, shape] of shapes) {
    const bytes = shape.reduce((a, b) => a * b) * width
    header[key] = { dtype, shape, data_offsets: [offset, offset + bytes] }
    offset += bytes
  }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  const file = openSync(path, 'w')
  writeSync(file, Buffer.concat([length, text]))
  for (const [i, [, shape]] of shapes.entries()) {
    const values = new Float32Array(shape.reduce((a, b) => a * b))
    fillHeavyTailed(values, shape[1], i + 1)
    writeSync(file, dtype === 'F32' ? values : Uint16Array.from(new Uint32Array(values.buffer), bits => bits >>> 16))
  }
  closeSync(file)
  return path
}
