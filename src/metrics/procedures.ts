import { bootstrap } from './bootstrap.ts'

/** What threads do for this room, by the names under which the engine is asked. */
export const PROCEDURES = { bootstrap }
