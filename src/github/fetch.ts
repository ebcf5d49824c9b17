import { HttpClient } from '@actions/http-client'
import { fetch } from 'undici'

/** Fetches a URL without our token, by the proxy that the environment names, as the API client does. */
export async function proxyFetch(url: string, signal: AbortSignal): Promise<Response> {
  const dispatcher = new HttpClient().getAgentDispatcher(url)
  return (await fetch(url, { signal, ...(dispatcher && { dispatcher }) })) as unknown as Response
}
