import { packedBlock } from './tile'

/** Groups of four in a block of C: 64 columns, so that two panels and a block stay in the second-level cache. */
const BLOCK: usize = 16

/**
 * C += AᵀA for the packed chunk of `pack`, lower triangle, column-major (LAPACK's `dsyrk` with `uplo = 'L'`).
 *
 * @param panels ⌈n/4⌉ panels of four columns, `k` deep
 * @param groups ⌈n/4⌉
 * @param c n×n rounded up to a multiple of four, `ld` doubles from column to column
 */
export function gram(panels: usize, groups: usize, k: usize, c: usize, ld: usize): void {
  const panel = k << 5
  for (let j: usize = 0; j < groups; j += BLOCK) {
    const columns = min(BLOCK, groups - j)
    for (let i = j; i < groups; i += BLOCK) {
      const rows = min(BLOCK, groups - i)
      const at = c + (4 * j * ld + 4 * i) * 8
      packedBlock(at, ld * 8, panels + i * panel, rows, panels + j * panel, columns, k, 1, i == j)
    }
  }
}
