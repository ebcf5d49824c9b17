const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENS = new Set([0x5b, 0x7b])
const CLOSES = new Set([0x5d, 0x7d])
const SEPARATES = new Set([0x2c, 0x3a])

/**
 * JSON from strangers. Three bytes of it can become a hundred in memory, so its nesting and its commas, colons and brackets are
 * counted before it is parsed.
 * @throws SyntaxError where it is none, RangeError where it nests deeper or holds more
 */
export function parseJson(bytes: Buffer, most: JsonBounds): unknown {
  checkJson(bytes, most)
  return JSON.parse(bytes.toString('utf8'))
}

export interface JsonBounds {
  readonly depth: number
  readonly marks: number
}

/**
 * Whether it would be read, and how many marks it holds.
 * @throws RangeError where it nests deeper or holds more
 */
export function checkJson(bytes: Buffer, most: JsonBounds): number {
  let depth = 0
  let marks = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) {
      i = endOfString(bytes, i)
    } else if (OPENS.has(byte)) {
      marks++
      if (++depth > most.depth) throw new RangeError(`nests deeper than ${most.depth}`)
    } else if (CLOSES.has(byte)) {
      depth--
    } else if (SEPARATES.has(byte) && ++marks > most.marks) {
      throw new RangeError(`holds more than ${most.marks} commas, colons and brackets`)
    }
  }
  return marks
}

/** Where the string that begins at `start` ends; the end of all where it does not. */
function endOfString(bytes: Buffer, start: number): number {
  for (let end = bytes.indexOf(QUOTE, start + 1); end !== -1; end = bytes.indexOf(QUOTE, end + 1)) {
    let slashes = 0
    while (bytes[end - 1 - slashes] === BACKSLASH) slashes++
    if (slashes % 2 === 0) return end
  }
  return bytes.length
}

/** What is to be said of text that `parseJson` refused. The parser's own words quote the text: they are not repeated. */
export function jsonProblem(cause: unknown): string {
  return cause instanceof RangeError ? cause.message : 'is not valid JSON'
}
