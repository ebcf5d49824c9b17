import { rename, writeFile } from 'node:fs/promises'
import { readSmallFile } from '../bytes/small-file.ts'
import { readConfig } from '../config/file.ts'
import type { Settings } from '../config/settings.ts'
import { UserError } from '../errors.ts'
import { limits } from '../limits.ts'
import { type Calibrated, calibrate, type Named } from '../policy/calibrate.ts'
import type { OnProgress } from '../progress.ts'
import { readReport } from '../report/io.ts'
import { type AnalyseContext, analyse } from './analyse.ts'
import { parseSource, withEngine } from './run.ts'

export interface CalibrationRequest {
  /** Checkpoints, or reports of them. */
  readonly files: readonly string[]
  readonly settings: Settings
  readonly onProgress?: OnProgress | undefined
}

/**
 * Thresholds of the built-in rules from several models of one recipe.
 * @throws UserError where one can't be read, or they are too few or of different architectures
 */
export function runCalibration(request: CalibrationRequest): Promise<Calibrated> {
  return withEngine(request, async context => {
    const models: Named[] = []
    for (const file of request.files) models.push(...(await modelsOf(file, request.settings, context)))
    return calibrate(models)
  })
}

async function modelsOf(text: string, { stateDict }: Settings, context: AnalyseContext): Promise<Named[]> {
  const { name, path } = await parseSource(text, stateDict)
  if (/\.json$/i.test(path)) {
    const { models, options } = await readReport(path)
    return models.map(model => ({ name: models.length > 1 ? `${path} (${model.name})` : path, model, options }))
  }
  return [{ name: path, model: await analyse({ name, path, stateDict }, context), options: context.options }]
}

/** As lines of the option `thresholds`. */
export function thresholdLines({ thresholds }: Calibrated): string[] {
  return Object.entries(thresholds).map(([name, value]) => `${name}=${value}`)
}

/**
 * Puts the thresholds into a config file, which keeps its comments and all else; makes it where there is none.
 * @throws UserError where it is no config file, or can't be written
 */
export async function writeThresholds(path: string, calibrated: Calibrated): Promise<void> {
  const there = await readConfig(path, true)
  const text = there ? (await readSmallFile(path, limits.config.bytes)).toString('utf8') : ''
  const { parseDocument } = await import('yaml')
  const document = parseDocument(text)
  document.set('thresholds', document.createNode(thresholdLines(calibrated)))
  const beside = `${path}.${process.pid}.tmp`
  try {
    await writeFile(beside, document.toString())
    await rename(beside, path)
  } catch (cause) {
    throw new UserError(
      `${path}: can't be written (${(cause as NodeJS.ErrnoException).code})`,
      'Does its folder exist?',
      { cause },
    )
  }
}
