import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { Budget } from '../../src/bytes/budget.ts'
import { RandomAccessFile } from '../../src/bytes/file.ts'
import { readRange } from '../../src/bytes/range.ts'
import { BudgetError } from '../../src/errors.ts'
import { limits } from '../../src/limits.ts'
import { temporaryFolder } from '../support/folder.ts'

describe('what reading one file may take', () => {
  const { work, zip } = limits

  it.each<[string, number, (budget: Budget, amount: number) => void, number, string]>([
    ['steps of a small file', 100, (b, n) => b.step(n), work.anyStepsCount + 100 * work.stepsRatio, 'steps'],
    ['steps of a large file', 1e9, (b, n) => b.step(n), work.stepsCount, 'steps'],
    ['characters of names', 1e9, (b, n) => b.name(n), work.namesCharacters, 'names'],
    ['bytes inflated of a small file', 100, (b, n) => b.inflate(n), zip.zerosBytes, 'inflates'],
    ['bytes inflated of a large file', 1e9, (b, n) => b.inflate(n), 1e9 * zip.inflateRatio, 'inflates'],
    ['bytes read', 1e6, (b, n) => b.read(n), work.anyReadBytes + 1e6 * work.readRatio, 'over and over'],
  ])('%s', (_, size, spend, most, found) => {
    const budget = new Budget('a/model.pt', size)
    spend(budget, most - 1)
    spend(budget, 1)
    expect(() => spend(budget, 1)).toThrow(BudgetError)
    const error = catching(() => spend(budget, 1))
    expect(error.message).toMatch(/^a\/model\.pt: /)
    expect(error.message).toContain(found)
    expect(error.message).toContain(String(most))
    expect(error.remedy).toContain('save its weights again')
  })

  it('each kind by itself', () => {
    const budget = new Budget('f', 0)
    budget.step(work.anyStepsCount)
    budget.name(work.namesCharacters)
    budget.inflate(zip.zerosBytes)
    budget.read(work.anyReadBytes)
  })
})

describe('a file', () => {
  it('that is read over and over is refused', async () => {
    const path = join(temporaryFolder(), 'model.bin')
    writeFileSync(path, Buffer.alloc(1024 * 1024))
    const file = await RandomAccessFile.open(path)
    try {
      const whole = limits.work.anyReadBytes / file.size + limits.work.readRatio
      for (let i = 0; i < whole; i++) await file.read(0, file.size)
      await expect(file.read(0, 1)).rejects.toThrow(BudgetError)
    } finally {
      await file.close()
    }
  })

  it('whose member is inflated over and over is refused', async () => {
    const zeros = Buffer.alloc(64 * 1024 * 1024)
    const deflated = deflateRawSync(zeros)
    const path = join(temporaryFolder(), 'model.bin')
    writeFileSync(path, deflated)
    const file = await RandomAccessFile.open(path)
    const inflated = { size: zeros.length, crc32: crc32(zeros) }
    let bytes = 0
    const inflate = async () => {
      for await (const piece of readRange(file, { offset: 0, length: deflated.length, inflated })) bytes += piece.length
    }
    try {
      for (let i = 0; i < limits.zip.zerosBytes / zeros.length; i++) await inflate()
      expect(bytes).toBe(limits.zip.zerosBytes)
      await expect(inflate()).rejects.toThrow(BudgetError)
    } finally {
      await file.close()
    }
  })
})

function catching(call: () => void): BudgetError {
  try {
    call()
  } catch (error) {
    return error as BudgetError
  }
  throw new Error('nothing was thrown')
}
