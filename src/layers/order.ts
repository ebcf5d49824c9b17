/** 100,000 layers have about a million components; names made to have more keep their order. */
const MOST_NODES = 2_000_000

/** A component of the names: its children in order of first appearance, and where in the list the name that ends here stands. */
interface Node {
  readonly children: Map<string, Node>
  at: number[]
}

/**
 * The positions of names in natural order: by the order in which their components first appear, but numbers by their value. A file
 * that lists `h.10` before `h.2`, as text sorts, comes out as the model is built; one that is in order stays as it is.
 */
export function naturalOrder(names: readonly string[]): number[] {
  const root: Node = { children: new Map(), at: [] }
  let nodes = 0
  for (const [i, name] of names.entries()) {
    let node = root
    const components = name.split(/(?<=\D)(?=\d)|(?<=\d)(?=\D)/)
    nodes += components.length
    if (nodes > MOST_NODES) return names.map((_, i) => i)
    for (const component of components) {
      const child = node.children.get(component) ?? { children: new Map(), at: [] }
      node.children.set(component, child)
      node = child
    }
    node.at.push(i)
  }
  const order: number[] = []
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    for (const at of node.at) order.push(at)
    for (const child of inOrder(node.children).reverse()) stack.push(child)
  }
  return order
}

/** Numbers take the places where numbers stand. */
function inOrder(children: ReadonlyMap<string, Node>): Node[] {
  const numbers = [...children.keys()].filter(component => /^\d/.test(component))
  const value = (text: string) => text.replace(/^0+(\d)/, '$1')
  const sorted = numbers.sort((a, b) => value(a).length - value(b).length || compare(value(a), value(b)))
  let next = 0
  return [...children].map(([component, node]) => (/^\d/.test(component) ? children.get(sorted[next++])! : node))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
