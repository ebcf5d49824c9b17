import { createHash } from 'node:crypto'
import { Zip } from '../../bytes/zip.ts'
import { UserError } from '../../errors.ts'
import { limits } from '../../limits.ts'
import { parseReport } from '../../report/io.ts'
import type { Report } from '../../report/schema.ts'
import { type Api, DeadlineError, WaitError } from '../api.ts'
import type { Context } from '../context.ts'
import { clean } from '../failures.ts'

/** An artifact that may hold a baseline. */
export interface Candidate {
  id: number
  name: string
  /** Bytes of its archive. */
  size: number
  expired: boolean
  /** `sha256:…`; empty where the forge tells none. */
  digest: string
  /** Milliseconds since 1970; NaN where the forge tells no time. */
  created: number
  run: number
  sha: string
}

/** The artifact has expired or was deleted. */
export class GoneError extends Error {
  override name = 'GoneError'
}

/** What was found is not a baseline that may be used. */
export class InvalidError extends Error {
  override name = 'InvalidError'
}

/** What was found has no report in it. */
export class NoReportError extends InvalidError {
  override name = 'NoReportError'
}

/** The connection or the store of artifacts failed, again and again. */
export class UnreachableError extends Error {
  override name = 'UnreachableError'
}

/** What an archive and the report in it may have. */
export interface ArchiveBounds {
  readonly archiveBytes: number
  readonly bytes: number
}

const OWN = { archiveBytes: limits.github.archiveBytes, bytes: limits.report.bytes }

/**
 * The report in an artifact. Its archive is held against the size and the hash that GitHub tells, and has to hold `report.json`,
 * and where `alone` is asked for no other file.
 * @throws GoneError, InvalidError or UnreachableError; GitHub's own errors pass through
 */
export async function readArtifact<T extends Report = Report>(
  api: Api,
  context: Context,
  artifact: Candidate,
  {
    parse = parseReport as (bytes: Buffer, where: string) => T,
    alone = true,
    most = OWN,
  }: { parse?: (bytes: Buffer, where: string) => T; alone?: boolean; most?: ArchiveBounds } = {},
): Promise<T> {
  const { size, digest, id } = artifact
  if (size > most.archiveBytes) throw tooLarge(size, most)
  const bytes = await download(api, context, id, most)
  const [, claimed] = /^sha256:([0-9a-f]{64})$/i.exec(digest) ?? []
  if (digest && claimed?.toLowerCase() !== createHash('sha256').update(bytes).digest('hex')) {
    throw new InvalidError('its bytes do not have the hash that GitHub has on record')
  }
  try {
    return parse(await unpack(bytes, alone, most), 'report.json')
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new InvalidError(clean(error.remedy ? `${error.message}. ${error.remedy}` : error.message), { cause: error })
  }
}

async function unpack(bytes: Buffer, alone: boolean, most: ArchiveBounds): Promise<Buffer> {
  try {
    const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length)
    const zip = await Zip.open({ path: 'its archive', size: bytes.length, read })
    const report = zip.members.get('report.json')
    if (!report || (alone && zip.members.size !== 1)) {
      const names = [...zip.members.keys()].slice(0, 5).map(name => JSON.stringify(name.slice(0, 80)))
      const Refusal = report ? InvalidError : NoReportError
      throw new Refusal(clean(`its archive has to hold report.json alone, but has ${names.join(', ') || 'nothing'}`))
    }
    return await zip.read(report, most.bytes)
  } catch (error) {
    // The remedies of a checkpoint's zip do not fit here.
    throw error instanceof UserError ? new InvalidError(clean(error.message), { cause: error }) : error
  }
}

/** Milliseconds before the second and third attempt. */
const PAUSES = [250, 1000]

async function download(api: Api, context: Context, id: number, most: ArchiveBounds): Promise<Buffer> {
  for (const pause of [...PAUSES, undefined]) {
    try {
      return await fetchArchive(api, context, id, most)
    } catch (error) {
      api.deadline.signal.throwIfAborted()
      if (!(error instanceof UnreachableError) || pause === undefined) throw error
      await api.deadline.sleep(pause)
    }
  }
  throw new Error('unreachable')
}

async function fetchArchive(
  { octokit, deadline }: Api,
  context: Context,
  id: number,
  most: ArchiveBounds,
): Promise<Buffer> {
  const { owner, name: repo } = context.repository
  const answer = await octokit
    .request('GET /repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}', {
      ...{ owner, repo, artifact_id: id, archive_format: 'zip' },
      // The store must not get our token; and a forge that sends the archive at once must not fill our memory.
      request: { redirect: 'manual', parseSuccessResponseBody: false },
    })
    .catch(error => {
      if (error.status === 404 || error.status === 410) throw new GoneError('it has expired or was deleted')
      throw error
    })
  const { status, headers } = answer as { status: number; headers: { location?: string } }
  if (status === 200) return collect(answer.data as unknown as ReadableStream<Uint8Array> | null, most)
  await (answer.data as unknown as ReadableStream | null)?.cancel()
  const url = headers.location ?? ''
  if (!/^https?:/i.test(url) || !URL.canParse(url))
    throw new UnreachableError(`GitHub answers ${status}, but not where`)
  const { proxyFetch } = await import('../fetch.ts')
  const response = await proxyFetch(url, deadline.signal).catch(error => {
    throw lost(error)
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new UnreachableError(`the store of artifacts answers ${response.status}`)
  }
  const length = Number(response.headers.get('content-length') ?? 0)
  if (length > most.archiveBytes) {
    await response.body?.cancel()
    throw tooLarge(length, most)
  }
  return collect(response.body, most)
}

async function collect(body: ReadableStream<Uint8Array> | null, most: ArchiveBounds): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body ?? []) {
      size += chunk.length
      if (size > most.archiveBytes) throw tooLarge(size, most)
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof InvalidError ? error : lost(error)
  }
  return Buffer.concat(chunks, size)
}

function lost(error: unknown): Error {
  if (error instanceof DeadlineError || error instanceof WaitError) return error
  const { message, cause } = error as Error
  const said = cause instanceof Error && cause.message ? cause.message : message
  return new UnreachableError(`the connection to the store of artifacts failed (${clean(said)})`, { cause: error })
}

function tooLarge(size: number, { archiveBytes }: ArchiveBounds): InvalidError {
  return new InvalidError(`its archive has ${size} bytes or more; ${archiveBytes} are allowed`)
}
