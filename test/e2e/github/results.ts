import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Artifact, GitHubDouble, Run } from './double.ts'
import type { Answer } from './rest.ts'

interface Blob {
  signature: string
  blocks: Map<string, Buffer>
  content: Buffer | undefined
}

const SERVICE = '/twirp/github.actions.results.api.v1.ArtifactService/'
const IDS = ['workflow_run_backend_id', 'workflow_job_run_backend_id']
const FIELDS: Record<string, { required: string[]; optional: string[] }> = {
  CreateArtifact: { required: ['name', 'version'], optional: ['expires_at', 'mime_type'] },
  FinalizeArtifact: { required: ['name', 'size'], optional: ['hash'] },
  ListArtifacts: { required: [], optional: ['name_filter', 'id_filter'] },
  GetSignedArtifactURL: { required: ['name'], optional: [] },
  DeleteArtifact: { required: ['name'], optional: [] },
}

/** The ids of a run's attempt and its job, as the runtime token and the artifact service say them. */
export function backendIds(run: Run): string {
  return `run-${run.id}-${run.attempt}:job-${run.id}`
}

/** The service that keeps the artifacts of runs (Twirp, in JSON), and the Azure block blobs that it hands out URLs for. */
export class Results {
  readonly #github: GitHubDouble
  readonly #tokens = new Map<string, Run>()
  readonly #blobs = new Map<string, Blob>()
  /** Created and not yet finalized: from run, attempt and name to the blob. */
  readonly #pending = new Map<string, string>()

  constructor(github: GitHubDouble) {
    this.#github = github
  }

  /** Lets a job with this token in. */
  allow(token: string, run: Run): void {
    this.#tokens.set(token, run)
  }

  /** A URL under which an artifact can be fetched without a token. */
  signed(artifact: Artifact): string {
    return this.#url({ content: artifact.zip })
  }

  twirp(request: IncomingMessage, url: URL, json: unknown): Answer {
    const refuse = (status: number, code: string, msg: string): Answer => ({ status, body: { code, msg } })
    const bad = (what: string, status = 400) =>
      this.#github.problem({ method: 'POST', path: url.pathname }, what, refuse(status, 'malformed', what))
    const method = url.pathname.slice(SERVICE.length)
    const fields = FIELDS[method]
    if (!url.pathname.startsWith(SERVICE) || !fields || request.method !== 'POST') return bad('an unknown route', 404)
    const run = this.#tokens.get(request.headers.authorization?.replace(/^Bearer /, '') ?? '')
    if (!run) return bad('a wrong runtime token', 401)
    if (typeof json !== 'object' || json === null) return bad('no body')
    const body = json as Record<string, string>
    const missing = [...IDS, ...fields.required].find(field => !Object.hasOwn(body, field))
    if (missing) return bad(`${missing} is missing`)
    const known = [...IDS, ...fields.required, ...fields.optional]
    const unknown = Object.keys(body).find(field => !known.includes(field))
    if (unknown) return bad(`unknown field ${unknown}`)
    if (`${body[IDS[0]!]}:${body[IDS[1]!]}` !== backendIds(run)) return bad('ids of another run', 403)

    const key = JSON.stringify([run.id, run.attempt, body.name])
    const ours = this.#github.artifacts.filter(one => one.runId === run.id && one.runAttempt === run.attempt)
    const found = ours.find(({ name }) => name === body.name)
    switch (method) {
      case 'CreateArtifact': {
        if (found || this.#pending.has(key)) {
          return refuse(409, 'already_exists', 'an artifact with this name already exists on the workflow run')
        }
        const signedUrl = this.#url({})
        this.#pending.set(key, signedUrl)
        return { status: 200, body: { ok: true, signed_upload_url: signedUrl } }
      }
      case 'FinalizeArtifact': {
        const uploaded = this.#pending.get(key)
        const content = uploaded && this.#blobs.get(new URL(uploaded).pathname)?.content
        if (!content) return bad('finalizes what was not uploaded')
        if (Number(body.size) !== content.length) return bad(`size ${body.size}, but ${content.length} were uploaded`)
        const digest = createHash('sha256').update(content).digest('hex')
        if (body.hash !== undefined && body.hash !== `sha256:${digest}`) return bad(`the hash ${body.hash} is wrong`)
        this.#pending.delete(key)
        const { id } = this.#github.addArtifact(body.name!, run.id, content, run.attempt)
        return { status: 200, body: { ok: true, artifact_id: `${id}` } }
      }
      case 'ListArtifacts': {
        const artifacts = ours
          .filter(({ name }) => body.name_filter === undefined || body.name_filter === name)
          .filter(({ id }) => body.id_filter === undefined || body.id_filter === `${id}`)
          .map(({ id, name, zip, created, digest }) => ({
            [IDS[0]!]: body[IDS[0]!],
            [IDS[1]!]: body[IDS[1]!],
            database_id: `${id}`,
            name,
            size: `${zip.length}`,
            created_at: created,
            digest,
          }))
        return { status: 200, body: { artifacts } }
      }
    }
    if (!found) return refuse(404, 'not_found', 'artifact not found')
    if (method === 'GetSignedArtifactURL') return { status: 200, body: { signed_url: this.signed(found) } }
    this.#github.artifacts.splice(this.#github.artifacts.indexOf(found), 1)
    return { status: 200, body: { ok: true, artifact_id: `${found.id}` } }
  }

  /** A block blob: uploaded in blocks that a list then joins, or in one piece; fetched with GET. */
  blob(request: IncomingMessage, url: URL, raw: Buffer): Answer {
    const bad = (what: string, status = 400) =>
      this.#github.problem({ method: request.method!, path: url.pathname }, what, { status } as Answer)
    const blob = this.#blobs.get(url.pathname)
    if (!blob || url.searchParams.get('sig') !== blob.signature) return bad('a wrong signature', 403)
    if (request.headers.authorization) return bad('a token sent to the blob store')
    if (request.method === 'GET') {
      if (!blob.content) return bad('nothing was uploaded', 404)
      return { status: 200, body: blob.content, headers: { 'content-type': 'application/zip' } }
    }
    if (request.method !== 'PUT' || !request.headers['x-ms-version']) return bad('an unknown route')
    switch (url.searchParams.get('comp')) {
      case 'block':
        blob.blocks.set(url.searchParams.get('blockid') ?? '', raw)
        break
      case 'blocklist': {
        const ids = [...raw.toString().matchAll(/<(?:Latest|Uncommitted)>([^<]+)</g)].map(([, id]) => id!)
        if (!ids.every(id => blob.blocks.has(id))) return bad('a list with unknown blocks')
        blob.content = Buffer.concat(ids.map(id => blob.blocks.get(id)!))
        break
      }
      case null:
        if (request.headers['x-ms-blob-type'] !== 'BlockBlob') return bad('not a block blob')
        blob.content = raw
        break
      default:
        return bad('an unknown route')
    }
    return {
      status: 201,
      headers: {
        etag: '"1"',
        'last-modified': new Date().toUTCString(),
        'x-ms-request-id': 'x',
        'x-ms-version': '2025-01-05',
      },
    }
  }

  #url({ content }: { content?: Buffer }): string {
    const path = `/blob/${this.#github.nextId()}.zip`
    const signature = randomBytes(12).toString('hex')
    this.#blobs.set(path, { signature, blocks: new Map(), content })
    return `${this.#github.url}${path}?sig=${signature}`
  }
}
