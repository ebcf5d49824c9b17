/** Analyses that add columns and move no other number: the names of their options, and of the list in the report's options. */
export const ADDED = ['mp-fit', 'detx', 'randomize', 'distances', 'other-laws', 'farms'] as const

/** All that gives a row columns which others lack. */
export const ANALYSES = [...ADDED, 'bootstrap', 'fix-fingers'] as const

export type Analysis = (typeof ANALYSES)[number]

/** What was asked for, of options as the report has them. */
export function askedIn(options: {
  readonly analyses?: readonly string[] | undefined
  readonly bootstrap?: number | undefined
  readonly fix_fingers?: string | undefined
}): Analysis[] {
  const asked = { 'fix-fingers': options.fix_fingers !== undefined, bootstrap: options.bootstrap !== undefined }
  return ANALYSES.filter(name =>
    name === 'fix-fingers' || name === 'bootstrap' ? asked[name] : options.analyses?.includes(name),
  )
}

/** Whether an option adds columns and moves no other number. */
export function isAdded(name: string): boolean {
  return name === 'bootstrap' || (ADDED as readonly string[]).includes(name)
}
