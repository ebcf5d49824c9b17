export type Operator = '>' | '>=' | '<' | '<='
export type Level = 'fail' | 'warn'
export type Unit = '' | '%' | 'sigma' | 'history'

export function holds(value: number, operator: Operator, threshold: number): boolean {
  switch (operator) {
    case '>':
      return value > threshold
    case '>=':
      return value >= threshold
    case '<':
      return value < threshold
    case '<=':
      return value <= threshold
  }
}
