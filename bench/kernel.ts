import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { markdownTable } from 'markdown-table'
import { Matrix, SVD } from 'ml-matrix'
import { Kernel, type Stage } from '../src/spectrum/kernel.ts'
import wasm from '../src/spectrum/kernel.wasm'
import { fillHeavyTailed } from './matrices.ts'
import { median, type Python } from './python.ts'

const SHAPES: [number, number][] = [
  [128, 128],
  [256, 256],
  [512, 512],
  [1024, 1024],
  [2048, 2048],
  [4096, 4096],
  [3072, 768],
  [50257, 768],
]
/** ml-matrix takes minutes beyond it. */
const ORACLE_LIMIT = 1024

/** One matrix, one thread: our kernel beside ml-matrix and LAPACK. CPU milliseconds, medians. */
export async function benchKernel(python: Python, quick: boolean): Promise<void> {
  const kernel = await Kernel.create(wasm)
  const rows: string[][] = []
  for (const [k, n] of SHAPES) {
    if (quick && k > 1024) continue
    const values = new Float32Array(k * n)
    fillHeavyTailed(values, n, k)
    const repeats = n <= 256 ? 15 : n <= 1024 ? 5 : 3
    const ours = Array.from({ length: repeats + (n <= 1024 ? 3 : 0) }, () => run(kernel, values, k, n)).slice(-repeats)
    const { eigenvalues, stages } = ours[0]
    const time = median(ours.map(({ milliseconds }) => milliseconds))
    const oracle = n <= ORACLE_LIMIT && k <= ORACLE_LIMIT ? mlMatrix(values, k, n) : undefined
    const lapack = python.scipy ? scipy(python.path, values, k, n, eigenvalues, repeats) : undefined
    const share = (stage: Stage) =>
      `${Math.round((100 * stages[stage]) / Object.values(stages).reduce((a, b) => a + b))} %`
    rows.push([
      `${k}×${n}`,
      time.toFixed(1),
      oracle ? `${oracle.toFixed(0)} (${(oracle / time).toFixed(0)}× ours)` : '',
      lapack ? `${lapack.svdvals.toFixed(1)} (ours ${(time / lapack.svdvals).toFixed(2)}×)` : '',
      lapack ? `${lapack.gram.toFixed(1)} (ours ${(time / lapack.gram).toFixed(2)}×)` : '',
      [share('gram'), share('band'), share('tridiagonal'), share('ql')].join(' · '),
      lapack ? `${lapack.worst.toExponential(1)}, ${lapack.top.toExponential(1)}` : '',
    ])
  }
  console.log('All eigenvalues of WᵀW, F32 in, one thread, CPU milliseconds (median)\n')
  console.log(
    markdownTable(
      [
        [
          'shape',
          'kernel',
          'ml-matrix SVD',
          'scipy svdvals',
          'Gram + eigvalsh',
          'Gram · band · tridiagonal · QL',
          'error /λmax, top half relative',
        ],
        ...rows,
      ],
      { align: ['l', 'r', 'r', 'r', 'r', 'r', 'r'] },
    ),
  )
  console.log()
}

function run(kernel: Kernel, values: Float32Array, k: number, n: number) {
  const chunk = 4096
  for (const stage of Object.keys(kernel.times) as Stage[]) kernel.times[stage] = 0
  const start = process.cpuUsage()
  const bytes = Math.min(k, chunk) * n * 4
  kernel.begin(n, bytes)
  for (let p = 0; p < k; p += chunk) {
    const rows = Math.min(chunk, k - p)
    kernel.window(bytes).set(new Uint8Array(values.buffer, p * n * 4, rows * n * 4))
    kernel.add('F32', 0, rows, n, 1)
  }
  const eigenvalues = kernel.eigenvalues()
  const { user, system } = process.cpuUsage(start)
  return { milliseconds: (user + system) / 1000, eigenvalues, stages: { ...kernel.times } }
}

function mlMatrix(values: Float32Array, k: number, n: number): number {
  const matrix = Matrix.from1DArray(k, n, values)
  const start = process.cpuUsage()
  new SVD(matrix, { computeLeftSingularVectors: false, computeRightSingularVectors: false })
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}

function scipy(path: string, values: Float32Array, k: number, n: number, ours: Float64Array, repeats: number) {
  const folder = mkdtempSync(join(tmpdir(), 'spectral-gate-bench-'))
  try {
    writeFileSync(join(folder, 'w.f32'), values)
    writeFileSync(join(folder, 'ours.f64'), ours)
    const script = fileURLToPath(new URL('../../bench/lapack.py', import.meta.url))
    const threads = { OPENBLAS_NUM_THREADS: '1', MKL_NUM_THREADS: '1', OMP_NUM_THREADS: '1' }
    const out = execFileSync(path, [script, folder, String(k), String(n), String(repeats)], {
      env: { ...process.env, ...threads },
    })
    return JSON.parse(out.toString()) as { svdvals: number; gram: number; worst: number; top: number }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
