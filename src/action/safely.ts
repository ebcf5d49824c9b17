import * as core from '@actions/core'
import { printable } from '../render/escape.ts'

const failed = new Set<string>()

/** Does what the runner may not let us do: a file that can't be written is a warning, once, and never hides the verdict. */
export async function safely<T>(what: string, work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!failed.has(what)) {
      failed.add(what)
      core.warning(printable(`${what} can't be written: ${error instanceof Error ? error.message : error}`))
    }
    return undefined
  }
}

/** An output of the step. */
export function setOutput(name: string, value: string | number): Promise<void> {
  return safely('GITHUB_OUTPUT', () => core.setOutput(name, value)) as Promise<void>
}

/** Adds to the summary of the job. */
export async function addSummary(text: string): Promise<void> {
  await safely('The summary of the job (GITHUB_STEP_SUMMARY)', () => core.summary.addRaw(text, true).write())
}
