import { readFileSync } from 'node:fs'

/** Of package.json, put in by the build; read from the file where the sources run unbuilt. */
export const VERSION: string =
  typeof SPECTRAL_GATE_VERSION === 'string'
    ? SPECTRAL_GATE_VERSION
    : JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version

declare const SPECTRAL_GATE_VERSION: string | undefined
