import { h, type Piece } from '../element.ts'
import type { LayerData } from '../layers.ts'
import { drawSpectrum } from '../spectrum.ts'

/** What stands in the page beside its tables. */
interface Data {
  readonly header: string
  readonly models: readonly (readonly (LayerData | null)[])[]
}

const SVG = 'http://www.w3.org/2000/svg'
const SVG_TAGS = new Set(['svg', 'g', 'path', 'circle', 'rect', 'text', 'title'])

const data: Data = JSON.parse(document.getElementById('data')!.textContent!)
document.documentElement.classList.add('scripted')

/** Pieces of the page in the document: texts stay texts. */
function build(piece: Piece, within = false): Node {
  if (typeof piece === 'string') return document.createTextNode(piece)
  const svg = SVG_TAGS.has(piece.tag) && (within || piece.tag === 'svg')
  const node = svg ? document.createElementNS(SVG, piece.tag) : document.createElement(piece.tag)
  for (const [name, value] of Object.entries(piece.attributes)) node.setAttribute(name, value)
  for (const child of piece.children) node.append(build(child, svg))
  return node
}

for (const [index, container] of document.querySelectorAll<HTMLElement>('[data-model]').entries())
  layersTable(container, data.models[index] ?? [])
theme()
tips()

function layersTable(container: HTMLElement, layers: readonly (LayerData | null)[]): void {
  const table = container.querySelector('table')!
  const body = table.tBodies[0]
  const rows = [...body.querySelectorAll<HTMLTableRowElement>('tr[data-row]')].map(row => ({
    row,
    at: Number(row.dataset.row),
    layer: layers[Number(row.dataset.row)]!,
  }))
  const details = new Map<HTMLTableRowElement, HTMLTableRowElement>()
  const columns = table.tHead!.rows[0].cells.length
  const find = container.querySelector<HTMLInputElement>('.find')!
  const state = container.querySelector<HTMLSelectElement>('.state')!
  const count = container.querySelector<HTMLOutputElement>('.count')!
  let order = rows

  for (const one of rows) {
    const cell = one.row.cells[0]
    const button = document.createElement('button')
    button.type = 'button'
    button.setAttribute('aria-expanded', 'false')
    button.append(...cell.childNodes)
    cell.append(button)
    button.addEventListener('click', () => toggle(one))
  }
  for (const [i, heading] of [...table.tHead!.rows[0].cells].entries()) {
    const button = document.createElement('button')
    button.type = 'button'
    button.append(...heading.childNodes)
    heading.append(button)
    button.addEventListener('click', () => sort(i, heading))
  }

  function toggle({ row, layer }: (typeof rows)[number], open?: boolean): void {
    const button = row.cells[0].querySelector('button')!
    const now = open ?? button.getAttribute('aria-expanded') === 'false'
    button.setAttribute('aria-expanded', String(now))
    let detail = details.get(row)
    if (!detail && now) {
      detail = build(
        h('tr', { class: 'detail' }, h('td', { colspan: columns }, h('div', { class: 'panel' }, panel(layer)))),
      ) as HTMLTableRowElement
      details.set(row, detail)
      row.after(detail)
    }
    if (detail) detail.hidden = !now || row.hidden
  }

  /** Numbers by size, absent ones last. */
  function sort(column: number, heading: HTMLTableCellElement): void {
    // Of a number the largest first; of a name and a place the least.
    const first = column < 2 ? 'ascending' : 'descending'
    const other = first === 'ascending' ? 'descending' : 'ascending'
    const direction = heading.getAttribute('aria-sort') === first ? other : first
    for (const cell of table.tHead!.rows[0].cells) cell.removeAttribute('aria-sort')
    heading.setAttribute('aria-sort', direction)
    const sign = direction === 'ascending' ? 1 : -1
    const keyOf = ({ layer, at }: (typeof rows)[number]) =>
      column === 0 ? layer.name : column === 1 ? at : layer.keys[column - 2]
    order = [...rows].sort((a, b) => {
      const [x, y] = [keyOf(a), keyOf(b)]
      if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1
      if (typeof x === 'number' && typeof y === 'number') return sign * (x - y)
      return sign * String(x).localeCompare(String(y), 'en', { numeric: true })
    })
    body.append(...order.flatMap(({ row }) => [row, ...(details.has(row) ? [details.get(row)!] : [])]))
  }

  function filter(): void {
    const wanted = find.value.trim().toLowerCase()
    for (const { row, layer } of rows) {
      const { kind, changed, random } = layer
      const suits =
        state.value === '' ||
        (state.value === 'changed' ? changed : state.value === 'random' ? random : kind === state.value)
      row.hidden = !(suits && layer.name.toLowerCase().includes(wanted))
      const detail = details.get(row)
      if (detail) detail.hidden = row.hidden || row.cells[0].firstElementChild!.getAttribute('aria-expanded') !== 'true'
    }
    const shown = rows.filter(({ row }) => !row.hidden).length
    count.textContent = shown === rows.length ? `${shown} layers` : `${shown} of ${rows.length} layers`
  }
  find.addEventListener('input', filter)
  state.addEventListener('change', filter)
  container.querySelector('.csv')!.addEventListener('click', () => {
    const lines = order.filter(({ row }) => !row.hidden).map(({ layer }) => layer.csv)
    save(`${[data.header, ...lines].join('\n')}\n`)
  })

  // A dot of a plot leads to its layer.
  const own = Number(container.dataset.model)
  document.addEventListener('click', event => {
    const dot = (event.target as Element).closest?.('[data-layer]')
    const plots = dot?.closest('[data-of]')
    if (!dot || Number(plots?.getAttribute('data-of') ?? 0) !== own) return
    const found = rows.find(({ at }) => at === Number(dot.getAttribute('data-layer')))
    if (!found) return
    if (found.row.hidden) {
      find.value = ''
      state.value = ''
      filter()
    }
    toggle(found, true)
    found.row.scrollIntoView({ block: 'center' })
    found.row.cells[0].querySelector('button')!.focus({ preventScroll: true })
  })
}

function panel(layer: LayerData) {
  const compared = layer.metrics.some(row => row.length > 2)
  return [
    h('p', {}, layer.advice.join(' ')),
    h('p', { class: 'meta' }, layer.facts),
    h(
      'div',
      { class: 'both' },
      h('div', {}, drawSpectrum(layer.name, layer.head, layer.base)),
      h(
        'div',
        { class: 'metrics', tabindex: 0, role: 'group', 'aria-label': `Metrics of ${layer.name}` },
        h(
          'table',
          {},
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              ['metric', 'head', ...(compared ? ['base', 'change'] : [])].map(text => h('th', { scope: 'col' }, text)),
            ),
          ),
          h(
            'tbody',
            {},
            layer.metrics.map(([metric, ...values]) =>
              h(
                'tr',
                {},
                h('th', { scope: 'row' }, h('code', {}, metric)),
                [...values, ...(compared ? ['', ''] : [])]
                  .slice(0, compared ? 3 : 1)
                  .map(value => h('td', { class: 'n' }, value)),
              ),
            ),
          ),
        ),
      ),
    ),
  ]
}

function save(text: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: 'text/csv' }))
  link.download = 'layers.csv'
  document.body.append(link)
  link.click()
  link.remove()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}

function theme(): void {
  const button = document.getElementById('theme') as HTMLButtonElement
  const system = matchMedia('(prefers-color-scheme: dark)')
  const root = document.documentElement
  const dark = () => (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark'
  const label = () => {
    button.textContent = dark() ? 'Light' : 'Dark'
  }
  button.hidden = false
  button.addEventListener('click', () => {
    root.dataset.theme = dark() ? 'light' : 'dark'
    label()
  })
  system.addEventListener('change', label)
  label()
}

/** What a mark is, at once: a browser's own tooltip waits. */
function tips(): void {
  const tip = document.getElementById('tip')
  if (!tip) return
  document.addEventListener('pointerover', event => {
    const title = (event.target as Element).closest?.('.dot')?.querySelector('title')
    tip.hidden = !title
    if (!title) return
    tip.textContent = title.textContent
    const { clientX: x, clientY: y } = event as PointerEvent
    const width = tip.offsetWidth
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 8))}px`
    tip.style.top = `${y > 60 ? y - tip.offsetHeight - 10 : y + 16}px`
  })
}
