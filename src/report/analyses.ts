/** Analyses that add columns and move no other number: the names of their options, and of the list in the report's options. */
export const ADDED = ['mp-fit', 'detx', 'randomize', 'distances', 'other-laws'] as const

/** All that gives a row columns which others lack. */
export const ANALYSES = [...ADDED, 'fix-fingers'] as const

export type Analysis = (typeof ANALYSES)[number]

/** What was asked for, of options as the report has them. */
export function askedIn(options: {
  readonly analyses?: readonly string[] | undefined
  readonly fix_fingers?: string | undefined
}): Analysis[] {
  return ANALYSES.filter(name =>
    name === 'fix-fingers' ? options.fix_fingers !== undefined : options.analyses?.includes(name),
  )
}

export function isAdded(name: string): boolean {
  return (ADDED as readonly string[]).includes(name)
}
