import { pipeline, Readable, type Transform } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { ReadableStream } from 'node:stream/web';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import type { FetchLike } from '../options.js';

/**
 * The part of `fetch` that embeddings need, on undici's `request`: the same dispatcher, also where the host has set one for its proxy, but large bodies do
 * not go through web streams (docs/decisions/gateway-transport.md). The body of the response is a Node stream, to be read to its end or destroyed.
 * Compressed bodies are not asked for: vectors hardly shrink.
 */
export const requestFetch: FetchLike = async (url, { method, headers, body, signal } = {}) => {
  // First, or undici takes the place of the dispatcher under the global `fetch`.
  const { Response } = globalThis;
  const request = await loadRequest();
  if (request === undefined)
    return asNodeStream(await fetch(url, { method, headers, body, signal, redirect: 'manual' } as RequestInit));
  const answer = await request(url as string, {
    method: method as 'POST',
    headers: new Headers(headers),
    body: body as string,
    signal: signal ?? null,
    // Timeouts are ours alone.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const response = new Response(null, { status: answer.statusCode, headers: headersOf(answer.headers) });
  return withBody(response, decompressed(answer.body, response.headers.get('content-encoding')));
};

/** Undefined in a host that lost the package, or bundled it into an ES module, where it cannot run: `fetch` serves as well, more slowly. */
const loadRequest = memoizeAsync(async () => {
  try {
    return (await import('undici')).request;
  } catch {
    return undefined;
  }
});

function asNodeStream(response: Response): Response {
  const { body } = response;
  return withBody(response, body === null ? Readable.from([]) : Readable.fromWeb(body as ReadableStream));
}

function withBody(response: Response, stream: Readable): Response {
  return Object.defineProperties(response, { body: { value: stream }, text: { value: () => text(stream) } });
}

function headersOf(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const result = new Headers();
  for (const [name, values = []] of Object.entries(headers)) {
    for (const value of [values].flat()) result.append(name, value);
  }
  return result;
}

const decoders: Readonly<Record<string, () => Transform>> = {
  br: createBrotliDecompress,
  deflate: createInflate,
  gzip: createGunzip,
};

function decompressed(body: Readable, encoding: string | null): Readable {
  const decode = decoders[encoding ?? ''];
  // A failure of either ends both, and whoever reads gets it.
  return decode === undefined ? body : pipeline(body, decode(), () => {});
}
