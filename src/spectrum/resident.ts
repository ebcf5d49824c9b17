import { createHash } from 'node:crypto'
import type { FloatDType } from '../checkpoint/types.ts'
import { widen } from '../checkpoint/widen.ts'
import { limits } from '../limits.ts'
import { cost, type MatrixShape, matricesOf, type Recipe } from '../recipe/recipe.ts'
import { viewOf } from '../recipe/values.ts'
import { Kernel } from './kernel.ts'
import { type GramTimes, MOST_STEPS } from './lanczos.ts'
import type { MatrixSource } from './matrix-source.ts'
import { footprint } from './source.ts'

/** Of so few columns all eigenvalues take less than it takes to look for one. */
const SMALL = 160
/** Passes over a matrix that the search is expected to take. */
const EXPECTED_PASSES = 250

/** Whether a matrix is so large that its largest eigenvalue is looked for alone, and fits into memory for that. */
export function isSearched({ k, n, zeros }: MatrixShape, bytes: number): boolean {
  return n > SMALL && zeros === 0 && k * n * bytes <= limits.spectrum.residentBytes
}

/** Bytes of an element in memory: what is stored in single precision or less stays so. */
export function bytesInMemory(dtype: FloatDType): number {
  return dtype === 'F64' ? 8 : 4
}

/** Bytes that the search in the largest matrix of a recipe takes: the matrix, the basis, and what it is read through. */
export function residentBytes(recipe: Recipe): number {
  const bytes = bytesOf(recipe)
  const { window, evaluation } = footprint(recipe, Kernel.depth)
  const held = matricesOf(recipe).filter(shape => isSearched(shape, bytes))
  const bytesFor = ({ k, n }: MatrixShape) => Kernel.heldBytes(k, n, bytes === 8) + 8 * n * MOST_STEPS
  return held.reduce((most, shape) => Math.max(most, bytesFor(shape)), 0) + 2 * window + evaluation
}

/** Multiply-adds that the largest eigenvalues of a recipe take, about. */
export function normCost(recipe: Recipe): number {
  const bytes = bytesOf(recipe)
  const shapes = matricesOf(recipe)
  if (!shapes.some(shape => isSearched(shape, bytes))) return cost(recipe)
  const searches = shapes.reduce((sum, { k, n }) => sum + 2 * EXPECTED_PASSES * k * n, 0)
  return Math.min(cost(recipe), searches)
}

function bytesOf({ read, values }: Recipe): number {
  const view = read === 'operator' ? null : viewOf(values)
  return bytesInMemory((view?.tensor.dtype as FloatDType | undefined) ?? 'F64')
}

/** What of a matrix is known at once when it has been read. */
export interface Resident {
  /** AᵀAv, of the scaled elements. */
  readonly times: GramTimes
  /** ‖A‖², which no eigenvalue of AᵀA exceeds, of the scaled elements. */
  readonly norm: number
  /** What the elements were multiplied by: a power of two. */
  readonly factor: number
  /** Follows from the elements. */
  readonly seed: number
}

/**
 * All of a matrix, in the memory of the kernel. Doubles are scaled so that no square leaves their range.
 * @throws RangeError where the memory would not do
 * @returns null where an element is not finite
 */
export function resident(source: MatrixSource, windowBytes: number, kernel: Kernel): Resident | null {
  const { k, n, dtype } = source
  const { elements, stride, times } = kernel.hold(k, n, bytesInMemory(dtype) === 8)
  const window = new Uint8Array(Math.ceil(windowBytes / 8) * 8)
  let row = 0
  for (const chunk of source.chunks(window, Kernel.depth)) {
    const stored = numbersIn(dtype, window)
    for (let p = 0; p < chunk.k; p++, row++)
      copyRow(stored, chunk.base + p * chunk.pStride, chunk.iStride, elements, row * stride, n)
  }
  const most = largestMagnitude(elements)
  if (!Number.isFinite(most)) return null
  const factor = dtype === 'F64' ? inversePower(most) : 1
  if (factor !== 1) for (let i = 0; i < elements.length; i++) elements[i] *= factor
  return { times, factor, norm: sumOfSquares(elements), seed: seedOf(elements) }
}

/** In pieces: no hash takes 2 GiB at once. */
function seedOf({ buffer, byteOffset, byteLength }: Numbers): number {
  const hash = createHash('sha256')
  for (let at = 0; at < byteLength; at += limits.spectrum.chunkBytes)
    hash.update(new Uint8Array(buffer, byteOffset + at, Math.min(limits.spectrum.chunkBytes, byteLength - at)))
  return hash.digest().readInt32LE()
}

type Numbers = Float32Array | Float64Array

/** The elements in the window, little-endian as every machine that this runs on. */
function numbersIn(dtype: FloatDType, window: Uint8Array): Numbers {
  if (dtype === 'F64') return new Float64Array(window.buffer)
  return dtype === 'F32' ? new Float32Array(window.buffer) : widen(dtype, window)
}

function copyRow(from: Numbers, at: number, stride: number, to: Numbers, start: number, n: number): void {
  for (let i = 0; i < n; i++) to[start + i] = from[at + i * stride]
}

function largestMagnitude(elements: Numbers): number {
  let most = 0
  for (let i = 0; i < elements.length; i++) {
    const magnitude = Math.abs(elements[i])
    if (magnitude > most) most = magnitude
    if (Number.isNaN(magnitude)) return magnitude
  }
  return most
}

function sumOfSquares(elements: Numbers): number {
  let sum = 0
  for (let i = 0; i < elements.length; i++) sum += elements[i] * elements[i]
  return sum
}

/** The power of two that brings a number next to 1, as far as doubles reach. */
function inversePower(most: number): number {
  if (most === 0) return 1
  let factor = 1
  while (most * factor >= 2) factor /= 2
  while (most * factor < 1 && factor < 1e300) factor *= 2
  return factor
}
