import { readFile } from 'node:fs/promises';
import { AiProviderError } from '../../../../errors.js';
import { missingDependency } from '../../../../internal/load-peer.js';
import type { HubSettings } from './hub-settings.js';

const maxRedirects = 5;
/** How long the Hub may send nothing. */
export const stallTimeoutMs = 30_000;

export interface HubResponse {
  readonly response: Response;
  /** The file's SHA-256 where the Hub keeps it by content (large files), as 64 hexadecimal digits. */
  readonly sha256: string | undefined;
  /** The id of the file's Git object, which the Hub gives for small files: 40 hexadecimal digits. */
  readonly gitObjectId: string | undefined;
  readonly url: string;
}

/**
 * GET with redirects followed by hand: the checksum stands in the Hub's own answer, the bytes come from another host, which must not see
 * the token.
 *
 * @throws `AiProviderError` with code `model_unavailable`; retryable where the network or the Hub failed.
 */
export async function requestFromHub(
  path: string,
  settings: HubSettings,
  options: { readonly signal: AbortSignal; readonly firstByte?: number },
): Promise<HubResponse> {
  const origin = new URL(settings.endpoint).origin;
  const fetchThrough = await fetchFor(settings);
  const token = settings.token ?? (await readToken(settings.tokenFile));
  let url = new URL(`${settings.endpoint}/${path}`);
  let checksum: string | undefined;
  for (let redirects = 0; redirects <= maxRedirects; redirects++) {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    if (token !== undefined && url.origin === origin) headers.authorization = `Bearer ${token}`;
    if (options.firstByte) headers.range = `bytes=${options.firstByte}-`;
    const response = await fetchThrough(url, { headers, redirect: 'manual', signal: options.signal }).catch(
      (cause: unknown) => {
        throw unavailable(`${url.host} could not be reached`, true, cause);
      },
    );
    checksum ??= checksumOf(response.headers);
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      url = new URL(location, url);
      continue;
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw statusError(response.status, url);
    }
    return {
      response,
      url: url.href,
      sha256: checksum?.length === 64 ? checksum : undefined,
      gitObjectId: checksum?.length === 40 ? checksum : undefined,
    };
  }
  throw unavailable(`${settings.endpoint} redirected more than ${maxRedirects} times`, false);
}

function checksumOf(headers: Headers): string | undefined {
  const etag = headers.get('x-linked-etag') ?? headers.get('etag');
  return etag?.match(/^(?:W\/)?"?([0-9a-f]{64}|[0-9a-f]{40})"?$/)?.[1];
}

function statusError(status: number, url: URL): AiProviderError {
  const reasons: Record<number, string> = {
    401: 'it wants a valid token, or there is no such model',
    403: 'the token may not read this model',
    404: 'there is no such model, revision or file',
  };
  const reason = reasons[status] === undefined ? '' : `: ${reasons[status]}`;
  return unavailable(`${url.host} answered with HTTP status ${status}${reason}`, status === 429 || status >= 500);
}

function unavailable(reason: string, isRetryable: boolean, cause?: unknown): AiProviderError {
  return new AiProviderError(reason, { code: 'model_unavailable', isRetryable, cause });
}

async function fetchFor({ proxy }: HubSettings): Promise<typeof fetch> {
  if (proxy === undefined) return fetch;
  const undici = await loadUndici();
  const dispatcher = new undici.ProxyAgent(proxyUrl(proxy));
  return ((url: URL, init: object) => undici.fetch(url, { ...init, dispatcher })) as unknown as typeof fetch;
}

/** curl and Python take `host:port` for an HTTP proxy too. */
function proxyUrl(proxy: string): string {
  const url = /^\w+:\/\//.test(proxy) ? proxy : `http://${proxy}`;
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url;
  throw unavailable(
    'the proxy for downloads (option `proxy`, HTTPS_PROXY or ALL_PROXY) is not an http or https URL',
    false,
  );
}

async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  const token = await readFile(file, 'utf8').catch(() => '');
  return token.trim() || undefined;
}

async function loadUndici() {
  try {
    return await import('undici');
  } catch (error) {
    throw missingDependency('undici', 'A download through a proxy', error);
  }
}
