import fc from 'fast-check'
import type { Nodes } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'
import { expect, test } from 'vitest'
import { code, plain, printable, prose, short } from '../../src/render/escape.ts'
import { toJson } from '../../src/report/io.ts'

const parse = (markdown: string) =>
  fromMarkdown(markdown, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 120 }),
  fc
    .array(
      fc.constantFrom(
        '`',
        '``',
        '|',
        '\\',
        '\n',
        '\r',
        '<',
        '>',
        '</details>',
        '<!--',
        '-->',
        '@octocat',
        '#12',
        'https://evil.example',
        'www.evil.example',
        '[x](y)',
        '![x](y)',
        '*',
        '_',
        '~~',
        '::error::',
        '##[error]',
        '\u202e',
        '\u0000',
        '\u001b[31m',
        '\u2028',
        '&amp;',
        '&#64;',
        '$',
        ' ',
        '\ud800',
        'a.weight',
      ),
      { maxLength: 12 },
    )
    .map(parts => parts.join('')),
)

test('a name stays inside its cell, as inline code and nothing else', () => {
  fc.assert(
    fc.property(hostile, name => {
      const tree = parse(`| a | b |\n| :- | :- |\n| ${code(name)} | end |\n`)
      expect(tree.children).toHaveLength(1)
      const table = tree.children[0]
      if (table.type !== 'table') throw new Error(`a ${table.type}`)
      expect(table.children).toHaveLength(2)
      const [cell, end] = table.children[1].children
      expect(cell.children.map(node => node.type)).toEqual(['inlineCode'])
      expect(texts(end)).toEqual(['end'])
    }),
    { numRuns: 5000, seed: 11 },
  )
})

test('a name stays inside its sentence', () => {
  fc.assert(
    fc.property(hostile, name => {
      const tree = parse(`### ❌ Failed: ${code(name)} is true\n\nnext`)
      expect(tree.children.map(node => node.type)).toEqual(['heading', 'paragraph'])
      expect((tree.children[0] as { children: Nodes[] }).children.map(node => node.type)).toEqual([
        'text',
        'inlineCode',
        'text',
      ])
    }),
    { numRuns: 5000, seed: 12 },
  )
})

test('an ordinary name is written as it is', () => {
  expect(code('layer1.0.conv1')).toBe('`layer1.0.conv1`')
  expect(code('model/dense|x')).toBe('`model/dense\\|x`')
  expect(code('a`b')).toBe('``a`b``')
})

test('no name can move the cursor, break the line, or start a workflow command', () => {
  fc.assert(
    fc.property(hostile, name => {
      const shown = printable(name)
      expect(shown).not.toMatch(/[\p{Cc}\p{Cf}\u2028\u2029]/u)
      expect(shown).not.toMatch(/^\s*::|##\[/)
    }),
    { numRuns: 5000, seed: 13 },
  )
})

test('JSON that goes to a log starts no workflow command, moves no cursor, and means what it did', () => {
  fc.assert(
    fc.property(hostile, name => {
      const json = toJson({ layers: [{ [name]: name }] })
      expect(json).not.toMatch(/[\p{Cf}\p{Zl}\p{Zp}]|(?!\n)\p{Cc}/u)
      expect(json).not.toMatch(/^\s*::|##\[/m)
      expect(JSON.parse(json)).toEqual({ layers: [{ [name]: name }] })
    }),
    { numRuns: 2000, seed: 13 },
  )
})

test('a long name keeps both of its ends', () => {
  const name = `begin${'x'.repeat(500)}end`
  expect(short(name)).toMatch(/^beginx+…x+end$/)
  expect(short(name).length).toBeLessThan(100)
})

function texts(node: Nodes): string[] {
  if ('value' in node) return [node.value]
  return 'children' in node ? node.children.flatMap(texts) : []
}

test('a sentence is read to its end, and what may mean something in it is quoted', () => {
  expect(plain('It is not there (net.pt).', code)).toBe('It is not there (net.pt).')
  const sentence =
    'models/*.safetensors: no such file or folder; the base branch has it in git, and this change does not, whatever the step before it says'
  expect(plain(sentence, code)).toBe(sentence.replace('models/*.safetensors:', '`models/*.safetensors:`'))
  const expression = ['$', '{{ toJSON(needs) }}'].join('')
  const remedy = `Where it is a gate of its own, the input needs says whose parts are meant: ${expression}.`
  expect(plain(remedy, code)).toBe(remedy.replace(expression, () => `\`${expression}\``))
  expect(plain('a*b', code)).toBe('`a*b`')
})

test('nothing in a sentence is a link, a mention or HTML', () => {
  const hides = new Set(['link', 'image', 'html', 'linkReference', 'imageReference', 'strong', 'emphasis', 'delete'])
  const within = (node: Nodes): Nodes[] => [node, ...('children' in node ? node.children.flatMap(within) : [])]
  for (const write of [plain, prose])
    fc.assert(
      fc.property(hostile, text => {
        const nodes = within(parse(`It says: ${write(text, code)}`))
        expect(nodes.filter(({ type }) => hides.has(type))).toEqual([])
        for (const node of nodes) if (node.type === 'text') expect(node.value).not.toMatch(/@\w|#\d|https?:/)
      }),
    )
})
