// Extracts the operations that we use from GitHub's own OpenAPI description into openapi.json, as JSON Schema.
//   npm i --prefix /tmp/openapi @octokit/openapi@23.0.2    (394 MB)
//   node test/e2e/github/extract.js /tmp/openapi/node_modules/@octokit/openapi
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const OPERATIONS = [
  'actions/delete-artifact',
  'actions/download-artifact',
  'actions/get-artifact',
  'actions/get-workflow-run',
  'actions/list-jobs-for-workflow-run',
  'actions/list-artifacts-for-repo',
  'actions/list-workflow-run-artifacts',
  'actions/list-workflow-runs-for-repo',
  'git/get-tree',
  'issues/create-comment',
  'issues/delete-comment',
  'issues/get-comment',
  'issues/list-comments',
  'issues/list-events',
  'issues/list-labels-on-issue',
  'issues/update-comment',
  'pulls/get',
  'pulls/list',
  'repos/compare-commits-with-basehead',
  'repos/get-branch',
  'repos/get-collaborator-permission-level',
  'repos/get-content',
  'repos/list-commits',
  'users/get-authenticated',
]
const KEPT = new Set(
  'type enum format pattern required items anyOf oneOf allOf additionalProperties minimum maximum minLength maxLength minItems maxItems uniqueItems'.split(
    ' ',
  ),
)

const root = process.argv[2]
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const api = JSON.parse(readFileSync(join(root, 'generated/api.github.com.json'), 'utf8'))
const definitions = {}

function resolve(node) {
  return node?.$ref
    ? resolve(
        node.$ref
          .slice(2)
          .split('/')
          .reduce((at, key) => at[key], api),
      )
    : node
}

/** A schema of OpenAPI 3.0 as JSON Schema: without prose, and `nullable` said with types. */
function convert(schema) {
  if (typeof schema !== 'object' || schema === null) return schema
  if (schema.$ref) {
    const name = schema.$ref.split('/').at(-1)
    if (!(name in definitions)) {
      definitions[name] = true // it may contain itself
      definitions[name] = convert(resolve(schema))
    }
    return { $ref: `#/definitions/${name}` }
  }
  const out = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'properties') {
      out.properties = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, convert(inner)]))
    } else if (KEPT.has(key)) {
      out[key] = Array.isArray(value) ? value.map(convert) : convert(value)
    }
  }
  if (!schema.nullable) return out
  if (out.type && !out.enum) return { ...out, type: [out.type, 'null'] }
  return { anyOf: [out, { type: 'null' }] }
}

const operations = {}
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    if (!OPERATIONS.includes(operation.operationId)) continue
    const query = {}
    for (const parameter of [...(methods.parameters ?? []), ...(operation.parameters ?? [])].map(resolve)) {
      if (parameter.in === 'query') query[parameter.name] = convert(parameter.schema)
    }
    const content = resolve(operation.requestBody)?.content?.['application/json']
    const responses = {}
    for (const [status, response] of Object.entries(operation.responses)) {
      const schema = resolve(response).content?.['application/json']?.schema
      responses[status] = schema ? convert(schema) : null
    }
    operations[operation.operationId] = {
      method: method.toUpperCase(),
      path,
      query,
      ...(content ? { body: convert(content.schema) } : {}),
      responses,
    }
  }
}
const missing = OPERATIONS.filter(id => !(id in operations))
if (missing.length > 0) throw new Error(`not in the description: ${missing}`)

const sorted = object => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)))
const document = {
  source: `@octokit/openapi@${version} (MIT)`,
  operations: sorted(operations),
  definitions: sorted(definitions),
}
const lines = JSON.stringify(document, null, 1)
  .replace(/\n {3,}/g, '')
  .replace(/\n {2}(?=[}\]])/g, '')
writeFileSync(join(import.meta.dirname, 'openapi.json'), `${lines}\n`)
