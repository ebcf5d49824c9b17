import { createHash } from 'node:crypto'
import script from './client.script'
import { type Element, h, type Piece, write } from './element.ts'
import { STYLE } from './style.ts'

/**
 * A page of one file: nothing is fetched, and of scripts and styles only ours, by their hashes, are let in.
 * @param data for the script; texts in it are shown as texts
 */
export function page(title: string, body: readonly Piece[], data: unknown): string {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  const policy = [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(STYLE)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')
  const head = [
    h('meta', { charset: 'utf-8' }),
    h('meta', { 'http-equiv': 'Content-Security-Policy', content: policy }),
    h('meta', { name: 'viewport', content: 'width=device-width,initial-scale=1' }),
    h('meta', { name: 'referrer', content: 'no-referrer' }),
    h('title', {}, title),
    // Browsers ask servers for one otherwise.
    h('link', { rel: 'icon', href: 'data:,' }),
  ]
  return [
    '<!doctype html><html lang="en"><head>',
    head.map(write).join('\n'),
    `<style>${STYLE}</style></head><body>`,
    body.map(write).join('\n'),
    `<script type="application/json" id="data">${json(data)}</script>`,
    `<script>${script}</script></body></html>\n`,
  ].join('\n')
}

/** JSON that can't end the element that it stands in. */
function json(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Characters from which on a sentence is no headline. */
const LONG = 160

/** What stands above all sections: the verdict in a sentence, and the ways to them. */
export function top(
  kind: string,
  verdict: string,
  sentence: readonly Piece[],
  meta: readonly Piece[],
  sections: readonly (readonly [id: string, text: string])[],
): Element[] {
  const long = sentence.map(write).join('').length > LONG
  return [
    h('a', { class: 'skip', href: '#content' }, 'To the content'),
    h(
      'header',
      { class: `top ${kind}` },
      h(
        'div',
        {},
        verdict && h('p', { class: 'verdict' }, verdict),
        h('h1', { class: long && 'long' }, sentence),
        h('p', { class: 'meta' }, meta),
      ),
    ),
    h(
      'nav',
      { 'aria-label': 'Sections' },
      h(
        'div',
        {},
        sections.map(([id, text]) => h('a', { href: `#${id}` }, text)),
        h('button', { type: 'button', id: 'theme', hidden: true }, 'Dark'),
      ),
    ),
  ]
}
