import type { GateChange, Report } from '../report/schema.ts'
import { ICON } from './headline.ts'
import { type Block, heading, left, names, note, type Phrase, reason, table, text, typed } from './view.ts'

/** How many changes are shown, and lines of each. */
const MOST = 20
const LINES = 5

/** That a change would alter the gate: what judged, what it would be, and what that would have said. */
export function gateChange({ gate_change: change, verdict }: Report): Block[] {
  if (!change) return []
  const { introduced, unreadable, changes, proposed } = change
  const blocks: Block[] = []
  if (introduced) blocks.push(note('The base branch has no config file: this pull request introduces it.'))
  if (unreadable) {
    blocks.push(...reason(unreadable), note('Options that can let something pass are ignored.'))
  }
  if (changes.length === 0) return blocks
  const rows = changes.map(({ option, old, new: now }): Phrase[] => [[typed(option)], lines(old), lines(now)])
  return [
    ...blocks,
    heading('This pull request changes the gate.'),
    text(`The change takes effect when it is merged; what judged is the gate as it is.${said(proposed, verdict)}`),
    table([left('option'), left('in force'), left('proposed')], rows, MOST, 'change'),
  ]
}

function said(proposed: GateChange['proposed'], verdict: Report['verdict']): string {
  if (!proposed) return ''
  const { status, fails_job } = proposed
  const job = fails_job === verdict?.fails_job ? '' : `, and the job would ${fails_job ? 'fail' : 'go on'}`
  return ` The proposed gate would say ${ICON[status] ?? ''} ${status}${job}.`
}

function lines(text: string): Phrase {
  return text === '' ? '–' : names(text.split('\n'), LINES)
}
