import { execFileSync } from 'node:child_process'
import { root } from './cli.ts'

/** End-to-end tests run dist/: it is built before any of them, so that none passes on what src/ was. */
export default function setup(): void {
  execFileSync(process.execPath, ['src/build/build.js'], { cwd: root, stdio: 'inherit' })
}
