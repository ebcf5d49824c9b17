import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

export interface Python {
  /** Empty where there is none. */
  readonly path: string
  readonly scipy: boolean
  readonly weightwatcher: boolean
  readonly description: string
}

const PROBE = `
import json, importlib.metadata as m, sys
def v(p):
  try: return m.version(p)
  except m.PackageNotFoundError: return None
print(json.dumps({"python": sys.version.split()[0], **{p: v(p) for p in ("numpy", "scipy", "weightwatcher", "torch")}}))`

/** The Python that is named, or the first on the path, and what it has. */
export async function findPython(named?: string): Promise<Python> {
  for (const path of named ? [named] : ['python3', 'python']) {
    try {
      const versions = JSON.parse((await execute(path, ['-c', PROBE])).stdout)
      const shown = Object.entries(versions)
        .filter(([, version]) => version)
        .map(([name, version]) => `${name} ${version}`)
      return {
        path,
        scipy: Boolean(versions.scipy),
        weightwatcher: Boolean(versions.weightwatcher && versions.torch),
        description: shown.join(', '),
      }
    } catch {}
  }
  return { path: '', scipy: false, weightwatcher: false, description: 'no Python' }
}

export interface Usage {
  /** Seconds. */
  readonly wall: number
  readonly cpu: number
  /** Megabytes of resident memory at the most. */
  readonly peak: number
  readonly stdout: string
}

/** Runs a program and measures the whole process, start-up included. */
export async function measure(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Usage> {
  const { stdout, stderr } = await execute('/usr/bin/env', ['time', '-f', 'TIME %e %U %S %M', command, ...args], {
    env: { ...process.env, ...env },
    maxBuffer: 1 << 28,
  })
  const [, wall, user, system, kilobytes] = /TIME (\S+) (\S+) (\S+) (\S+)/.exec(stderr)!
  return { wall: Number(wall), cpu: Number(user) + Number(system), peak: Number(kilobytes) / 1024, stdout }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
