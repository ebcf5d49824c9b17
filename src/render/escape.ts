/** Longer names are shortened in the middle: their ends tell more than their middles. */
const LONGEST = 96

/**
 * A foreign string on one line, for terminals and logs: control, format and bidirectional characters as \u escapes, so that no
 * name can move the cursor, fake a line, or reorder what follows; nor start a workflow command.
 */
export function printable(name: string): string {
  return name
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, unicodeEscape)
    .replace(/^\s*::/, match => match.replaceAll(':', '\\u003a'))
    .replaceAll('##[', '##\\u005b')
}

/** `printable` for each line of a text of ours that may quote foreign names. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** `printable` and no longer than so many characters, of which the middle goes first. */
export function short(name: string, longest = LONGEST): string {
  const shown = printable(name)
  const characters = Array.from(shown)
  if (characters.length <= longest) return shown
  const half = (longest - 1) >> 1
  return `${characters.slice(0, half).join('')}…${characters.slice(-half).join('')}`
}

/**
 * A foreign string as a Markdown code span, the one construct in which GitHub links, mentions and renders nothing. Its fence is
 * longer than any run of backticks in the string; a pipe is escaped as table cells need it.
 */
export function code(name: string): string {
  const shown =
    short(name)
      .replace(/\\(?=\||$)/g, '\\u005c')
      .replaceAll('|', '\\|') || ' '
  const runs = shown.match(/`+/g) ?? []
  const fence = '`'.repeat(runs.reduce((most, run) => Math.max(most, run.length), 0) + 1)
  const padding = /^[`\s]|[`\s]$/.test(shown) ? ' ' : ''
  return fence + padding + shown + padding + fence
}

/** Text that may quote a foreign name: as it is where nothing in it has a meaning in Markdown; else of a sentence each such word quoted. */
export function plain(text: string, quote: (text: string) => string): string {
  if (isPlain(text)) return text
  return /\s/.test(text.trim()) ? prose(text, quote) : quote(text)
}

function isPlain(text: string): boolean {
  // Within a word an underscore is one.
  const rest = text.replace(/(?<=[A-Za-z0-9])_(?=[A-Za-z0-9])/g, '')
  return /^[A-Za-z0-9 ,.:×;=()'−/-]*$/.test(rest) && !/:\/\/|www\.|[@#]|\bGH-\d|\b[0-9a-f]{40}\b/i.test(text)
}

/** A link, where the address is a plain one; else the text alone. The text has to be ours. */
export function link(text: string, url: string): string {
  return /^https?:\/\/[\w.-]+(:\d+)?(\/[\w.-]+)*\/?$/.test(url) ? `[${text}](${url})` : text
}

/** Sentences that may quote foreign names, word by word; what stands between backticks, or is an expression of a workflow, as one. */
export function prose(text: string, quote: (text: string) => string): string {
  const runs: { text: string; readonly isQuoted: boolean }[] = []
  for (const part of text.split(/(`[^`]+`|\$\{\{[^{}]*\}\}|\[[\d, ]+\]|\s+)/)) {
    const isSpan = /^`[^`]+`$/.test(part)
    const isSpace = part.trim() === ''
    const isQuoted = isSpan || !(isSpace || isPlain(part))
    // A line break would begin another block.
    const said = isSpan ? part.slice(1, -1) : isSpace && part ? ' ' : part
    const last = runs.at(-1)
    // Two fences without a space between them would be one.
    if (isQuoted && last?.isQuoted) last.text += said
    else if (said) runs.push({ text: said, isQuoted })
  }
  return runs.map(({ text, isQuoted }) => (isQuoted ? quote(text) : text)).join('')
}

function unicodeEscape(character: string): string {
  return `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`
}
