/** Analyses that a row of the report holds only where they were asked for, each by the name of its option. */
export const ANALYSES = ['mp-fit'] as const

export type Analysis = (typeof ANALYSES)[number]

export function isAnalysis(name: string): name is Analysis {
  return (ANALYSES as readonly string[]).includes(name)
}
