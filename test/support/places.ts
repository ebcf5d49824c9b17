/** Where something stands in JSON: keys and indices. */
export type Path = readonly (string | number)[]

/** Where values of a type stand. */
export function placesOf(type: 'string' | 'number', value: unknown, path: Path = []): Path[] {
  if (typeof value === type) return [path]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    placesOf(type, inner, [...path, Array.isArray(value) ? Number(key) : key]),
  )
}

/** A place without its indices: rows of one list are alike. */
export function kindOf(path: Path): string {
  return path.map(key => (typeof key === 'number' ? '[]' : key)).join('.')
}

/** A copy that has something else in some places. */
export function replaced<T>(value: T, paths: readonly Path[], by: string | number): T {
  const copy = structuredClone(value)
  for (const path of paths) {
    let at = copy as never
    for (const key of path.slice(0, -1)) at = at[key as never]
    at[path.at(-1) as never] = by as never
  }
  return copy
}
