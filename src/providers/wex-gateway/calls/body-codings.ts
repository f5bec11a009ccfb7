import { pipeline, Readable, type Transform } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';

/**
 * A body without its content codings (RFC 9110, 8.4.1). Compressed bodies are not asked for, since vectors hardly
 * shrink and a stream would wait; some servers compress all the same, or name the coding in an old or odd way.
 */
export function decodeBody(body: Readable, contentEncoding: string | null): AsyncIterable<Uint8Array> {
  const codings = (contentEncoding ?? '')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity');
  // The last coding was applied last.
  return codings.reduceRight<Readable>((stream, coding) => decoded(stream, coding), body);
}

function decoded(body: Readable, coding: string): Readable {
  switch (coding) {
    case 'br':
      return through(body, createBrotliDecompress());
    case 'gzip':
    case 'x-gzip':
      return through(body, createGunzip());
    case 'deflate':
      return Readable.from(inflated(body));
    default:
      return body;
  }
}

/** A failure of either ends both, and whoever reads gets it. */
function through(body: Readable, decoder: Transform): Readable {
  return pipeline(body, decoder, () => {});
}

/** Some servers send `deflate` without the zlib header that the standard asks for. */
async function* inflated(body: Readable): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  const { done, value } = (await chunks.next()) as IteratorResult<Uint8Array>;
  if (done) return;
  const hasZlibHeader = ((value[0] ?? 0) & 0x0f) === 8;
  const decoder = hasZlibHeader ? createInflate() : createInflateRaw();
  async function* all() {
    yield value;
    for (;;) {
      const next = (await chunks.next()) as IteratorResult<Uint8Array>;
      if (next.done) return;
      yield next.value;
    }
  }
  yield* through(Readable.from(all()), decoder);
}

/** An answer that is larger than anything the API has a use for. */
export class OversizedBody extends Error {
  constructor(readonly mostBytes: number) {
    super(`The body is larger than ${mostBytes} bytes.`);
  }
}

/** @throws {@link OversizedBody} and frees the connection, as soon as more than `mostBytes` came. */
async function* boundedBody(body: AsyncIterable<Uint8Array>, mostBytes: number): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > mostBytes) throw new OversizedBody(mostBytes);
    yield chunk;
  }
}

/** The text of a body, without a byte order mark. @throws {@link OversizedBody} */
export async function readText(body: AsyncIterable<Uint8Array>, mostBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of boundedBody(body, mostBytes)) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

/** The first part of a body; the rest is not read. */
export async function readBeginning(body: AsyncIterable<Uint8Array>, mostBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let length = 0;
  for await (const chunk of body) {
    text += decoder.decode(chunk, { stream: true });
    length += chunk.length;
    if (length >= mostBytes) break;
  }
  return text.slice(0, mostBytes);
}
