/** A row of a report or a plan, whose tensor may have a place in which a framework looks for it. */
interface Row {
  readonly tensor: string
  readonly shape: readonly number[]
  readonly place?: string | undefined
}

export interface Places {
  /** What tensors of the baseline are called on the other side, by what stands in their place there, where that is another name. */
  readonly names: ReadonlyMap<string, string>
  /** Of these, by the name on the other side, those whose names changed places with others'. */
  readonly exchanged: ReadonlyMap<string, string>
}

/**
 * Keras loads by places, and looks at no names. Where both sides have the same places, of the same shapes, either could be loaded into the
 * other's model: places alone decide. Where not, layers came or went and names tell which; but names that changed places among each
 * other, and those that neither side knows of the other, go by their places as well.
 */
export function byPlace(head: readonly Row[], base: readonly Row[]): Places {
  const [ours, theirs] = [placesOf(head), placesOf(base)]
  const names = new Map<string, string>()
  const exchanged = new Map<string, string>()
  if (ours.size === 0 || theirs.size === 0) return { names, exchanged }
  const placeOfHead = new Map([...ours].map(([place, { tensor }]) => [tensor, place]))
  const known = new Set(base.map(({ tensor }) => tensor))
  const before = (place: string | undefined) => {
    const one = place === undefined ? undefined : theirs.get(place)
    return one && ours.get(place!)?.shapes === one.shapes ? one.tensor : undefined
  }
  const loadable = ours.size === theirs.size && [...theirs.keys()].every(place => before(place) !== undefined)
  const seen = new Set<string>()
  for (const start of theirs.keys()) {
    // From what a place held to where that is now, and so on: back at the beginning all have changed places with each other.
    const walked: string[] = []
    let place: string | undefined = start
    while (place !== undefined && !seen.has(place)) {
      seen.add(place)
      walked.push(place)
      const tensor = before(place)
      place = tensor === undefined ? undefined : placeOfHead.get(tensor)
    }
    const from = place === undefined ? -1 : walked.indexOf(place)
    const round = new Set(from < 0 ? [] : walked.slice(from))
    for (const at of walked) {
      const [now, was] = [ours.get(at)?.tensor, before(at)]
      if (now === undefined || was === undefined || now === was) continue
      const isForeign = !placeOfHead.has(was) && !known.has(now)
      if (loadable || round.has(at) || isForeign) names.set(was, now)
      if (round.has(at)) exchanged.set(now, was)
    }
  }
  return { names, exchanged }
}

/** By place, what it is called and the shapes of its rows: a tensor has several where it is split. */
function placesOf(rows: readonly Row[]): Map<string, { readonly tensor: string; readonly shapes: string }> {
  const found = new Map<string, { tensor: string; shapes: string }>()
  for (const { place, tensor, shape } of rows) {
    if (place === undefined) continue
    const shapes = found.get(place)?.shapes
    found.set(place, { tensor, shapes: `${shapes === undefined ? '' : `${shapes} `}${shape.join('x')}` })
  }
  return found
}
