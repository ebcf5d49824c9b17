import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'

type Schema = { [key: string]: unknown } | true
interface Operation {
  method: string
  path: string
  query: Record<string, Schema>
  body?: Schema
  responses: Record<string, Schema | null>
}

const { operations, definitions } = JSON.parse(readFileSync(join(import.meta.dirname, 'openapi.json'), 'utf8')) as {
  operations: Record<string, Operation>
  definitions: Record<string, Schema>
}
const ajv = new Ajv({ strict: false, coerceTypes: false, allErrors: false })
formats.default(ajv)
const query = new Ajv({ strict: false, coerceTypes: true })
const validators = new Map<string, ValidateFunction>()

function check(by: Ajv, key: string, schema: Schema, value: unknown): string {
  let validate = validators.get(key)
  if (!validate) {
    validate = by.compile(schema === true ? {} : { ...schema, definitions })
    validators.set(key, validate)
  }
  return validate(value) ? '' : by.errorsText(validate.errors)
}

/** The method and path template of an operation, such as `GET` and `/repos/{owner}/{repo}/pulls/{pull_number}`. */
export function route(id: string): { method: string; path: string } {
  return operations[id]!
}

/** What GitHub's own description says is wrong with a request; empty when nothing is. */
export function requestProblem(id: string, parameters: URLSearchParams, body: unknown): string {
  const operation = operations[id]!
  for (const [name, value] of parameters) {
    const schema = operation.query[name]
    if (!schema) return `query: unknown parameter ${name}`
    const problem = check(query, `${id} query ${name}`, { type: 'object', properties: { value: schema } }, { value })
    if (problem) return `query ${name}: ${problem}`
  }
  if (!operation.body) return body === undefined ? '' : 'body: none expected'
  const known = (operation.body as { properties?: object }).properties ?? {}
  const unknown = Object.keys(Object(body)).find(key => !Object.hasOwn(known, key))
  if (unknown) return `body: unknown field ${unknown}`
  const problem = check(ajv, `${id} body`, operation.body, body)
  return problem && `body: ${problem}`
}

/** What GitHub's own description says is wrong with a response of the double; empty when nothing is. */
export function responseProblem(id: string, status: number, body: unknown): string {
  const { responses } = operations[id]!
  if (!Object.hasOwn(responses, status)) return status < 400 ? `status ${status} is not described` : ''
  const schema = responses[status]
  return schema ? check(ajv, `${id} ${status}`, schema, body) : ''
}

/** `part` completed to a valid instance of a definition, such as `issue-comment`: what it lacks and must have is made up. */
export function fill(definition: string, part: object): object {
  return complete({ $ref: `#/definitions/${definition}` }, part) as object
}

function complete(schema: Schema, part: unknown): unknown {
  if (schema === true || part === null) return part ?? null
  if (typeof schema.$ref === 'string') return complete(definitions[schema.$ref.split('/').at(-1)!]!, part)
  const choice = (schema.allOf ?? schema.anyOf ?? schema.oneOf) as Schema[] | undefined
  const types = [schema.type].flat()
  const nullable = types.includes('null') || choice?.some(one => one !== true && one.type === 'null')
  if (part === undefined && nullable) return null
  if (choice && !schema.properties) return complete(choice[0]!, part)
  if (Array.isArray(part)) return part.map(item => complete((schema.items as Schema) ?? true, item))
  if (types.includes('object') && (part === undefined || typeof part === 'object')) {
    const properties = (schema.properties ?? {}) as Record<string, Schema>
    const given = (part ?? {}) as Record<string, unknown>
    const names = new Set([...((schema.required as string[]) ?? []), ...Object.keys(given)])
    return Object.fromEntries([...names].map(name => [name, complete(properties[name] ?? true, given[name])]))
  }
  if (part !== undefined) return part
  if (schema.enum) return (schema.enum as unknown[])[0]
  if (types.includes('array')) return []
  if (types.includes('boolean')) return false
  if (types.includes('integer') || types.includes('number')) return (schema.minimum as number) ?? 1
  return FORMATS[schema.format as string] ?? 'x'
}

const FORMATS: Record<string, string> = {
  uri: 'http://gate.localhost/x',
  'date-time': '2026-01-01T00:00:00Z',
  email: 'someone@gate.localhost',
}
