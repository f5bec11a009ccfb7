import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text as textOf } from 'node:stream/consumers';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { gzipSync } from 'node:zlib';

/**
 * Which requests a reply is for; all that is named must fit. Paths are those of the request's JSON, such as
 * `messages.1.content`.
 */
export interface RequestPattern {
  readonly has?: string | readonly string[];
  readonly lacks?: string | readonly string[];
  readonly equals?: Readonly<Record<string, unknown>>;
  readonly moreInputsThan?: number;
  /** A text among those to embed. */
  readonly input?: string;
  /** Milliseconds since the first request. */
  readonly beforeMs?: number;
  readonly isReusedSocket?: boolean;
}

/** One way to answer, as a real server does. */
export interface ServerReply {
  readonly when?: RequestPattern;
  /** How often it may answer. @default without end */
  readonly times?: number;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
  /** What a faultless server sends, with this text. */
  readonly ok?: string;
  readonly body?: unknown;
  /** The body as it is. */
  readonly text?: string;
  /** The right vectors, but for what is named. */
  readonly embeddings?: {
    readonly dimensions?: number;
    readonly encoding?: 'base64' | 'float';
    readonly index?: 'given' | 'allZero' | 'fromOne' | 'withoutZero';
    readonly isReversed?: boolean;
    readonly count?: 0;
    readonly usage?: object;
    readonly model?: string;
    /** By text: the JSON of its embedding, or what some servers send in its place. */
    readonly of?: Readonly<Record<string, string>>;
  };
  /** Events: an object is sent as `data:`, a string as it is, a number is a pause in milliseconds. */
  readonly sse?: readonly unknown[];
  readonly lineEnd?: string;
  readonly bytesAtOnce?: number;
  readonly isLeftOpen?: boolean;
  /** A page of this many megabytes. */
  readonly pageMb?: number;
  readonly hangs?: boolean;
  /** Resets the connection in the middle, or before the answer. */
  readonly cut?: boolean | 'atOnce';
  readonly coding?: 'gzip';
  readonly hasByteOrderMark?: boolean;
}

/** A request as it came. */
export interface ServerRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
  readonly isReusedSocket: boolean;
  /** Milliseconds since the first one. */
  readonly afterMs: number;
}

const list = <Value>(value: Value | readonly Value[] | undefined): readonly Value[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value as Value];

function valueAt(body: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, name) => (inner as Record<string, unknown> | null)?.[name], body);
}

/** Whether a request fits a pattern. */
export function matchesRequest(
  pattern: RequestPattern = {},
  { body, isReusedSocket, afterMs }: ServerRequest,
): boolean {
  const inputs = list(valueAt(body, 'input'));
  return (
    list(pattern.has).every((path) => valueAt(body, path) !== undefined) &&
    list(pattern.lacks).every((path) => valueAt(body, path) === undefined) &&
    Object.entries(pattern.equals ?? {}).every(([path, value]) => isDeepStrictEqual(valueAt(body, path), value)) &&
    (pattern.moreInputsThan === undefined || inputs.length > pattern.moreInputsThan) &&
    (pattern.input === undefined || inputs.includes(pattern.input)) &&
    (pattern.beforeMs === undefined || afterMs < pattern.beforeMs) &&
    (pattern.isReusedSocket === undefined || isReusedSocket)
  );
}

/** The vector that a {@link FakeServer} sends for a text, which tells it from others. */
export function fakeServerVector(text: string, dimensions = 8): number[] {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + (character.codePointAt(0) as number)) % 1_000_003;
  return Array.from({ length: dimensions }, (_, position) => Math.fround(Math.sin(hash * (position + 1)) + 0.001));
}

/**
 * An HTTP server on 127.0.0.1 that answers each request with the first reply that fits it: for the cases in
 * `serverCases`, and for a host's own.
 *
 * @example
 * const server = await FakeServer.start([{ times: 1, status: 429, headers: { 'retry-after': '1' } }, { ok: 'Hello.'
 * }]); const provider = new WexGatewayProvider({ baseUrl: `${server.url}/v1`, apiKey: 'key' }); await server.close();
 */
export class FakeServer {
  readonly url: string;
  readonly requests: ServerRequest[] = [];
  /** Of `pageMb`, how much was sent before the client hung up. */
  sentBytes = 0;
  readonly #server: ReturnType<typeof createServer>;
  readonly #replies: readonly ServerReply[];
  readonly #uses = new Map<ServerReply, number>();
  readonly #knownSockets = new WeakSet<object>();
  #startedAt: number | undefined;

  private constructor(server: ReturnType<typeof createServer>, replies: readonly ServerReply[]) {
    this.#server = server;
    this.#replies = replies;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(replies: readonly ServerReply[]): Promise<FakeServer> {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const made = new FakeServer(server, replies);
    server.on('request', async (request, response) => {
      response.on('error', () => {});
      const isReusedSocket = made.#knownSockets.has(request.socket);
      made.#knownSockets.add(request.socket);
      const raw = await textOf(request).catch(() => '');
      made.#startedAt ??= performance.now();
      const entry: ServerRequest = {
        path: request.url ?? '',
        headers: request.headers,
        body: raw === '' ? undefined : JSON.parse(raw),
        isReusedSocket,
        afterMs: performance.now() - made.#startedAt,
      };
      made.requests.push(entry);
      await made.#send(made.#replyTo(entry), entry.body, response);
    });
    return made;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((closed) => this.#server.close(() => closed()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #replyTo(request: ServerRequest): ServerReply {
    const reply = this.#replies.find(
      (each) => (this.#uses.get(each) ?? 0) < (each.times ?? Infinity) && matchesRequest(each.when, request),
    );
    if (reply === undefined) return { status: 404, body: { error: { message: 'No reply fits this request.' } } };
    this.#uses.set(reply, (this.#uses.get(reply) ?? 0) + 1);
    return reply;
  }

  async #send(given: ServerReply, body: unknown, response: ServerResponse): Promise<void> {
    const reply = given.ok === undefined ? given : { ...given, ...ordinaryReply(body, given.ok) };
    const { status = 200, headers = {} } = reply;
    if (reply.delayMs) await sleep(reply.delayMs);
    if (reply.hangs) return;
    if (reply.cut === 'atOnce') return void response.destroy();
    if (reply.sse) {
      response.writeHead(status, { 'content-type': 'text/event-stream', ...headers });
      return sendEvents(reply, response);
    }
    if (reply.pageMb) return this.#sendPage(reply.pageMb, response.writeHead(status, { 'content-type': 'text/html' }));
    const content = contentOf(reply, body);
    const type = reply.text === undefined ? 'application/json' : 'text/html';
    response.writeHead(status, { 'content-type': type, 'content-length': content.length, ...headers });
    if (!reply.cut) return void response.end(content);
    response.write(content.subarray(0, content.length / 2));
    await sleep(20);
    response.destroy();
  }

  async #sendPage(megabytes: number, response: ServerResponse): Promise<void> {
    const block = Buffer.alloc(2 ** 20, 'x');
    const hungUp = once(response, 'close').catch(() => {});
    for (let sent = 0; sent < megabytes && !response.destroyed; sent++) {
      if (!response.write(block)) await Promise.race([once(response, 'drain').catch(() => {}), hungUp]);
      this.sentBytes += block.length;
    }
    response.end();
  }
}

function contentOf(reply: ServerReply, body: unknown): Buffer {
  const json = () => (reply.embeddings ? embeddingsBody(reply.embeddings, body) : JSON.stringify(reply.body ?? {}));
  const text = (reply.hasByteOrderMark ? '\uFEFF' : '') + (reply.text ?? json());
  return reply.coding === 'gzip' ? gzipSync(text) : Buffer.from(text);
}

/** What a faultless server sends: the text, streamed if that is asked for; the right vectors; or a list of models. */
function ordinaryReply(body: unknown, text: string): ServerReply {
  const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
  if (body === undefined) return { body: { object: 'list', data: [] } };
  if (valueAt(body, 'input') !== undefined) return { embeddings: {} };
  if (valueAt(body, 'stream')) {
    const chunk = (delta: object, finish_reason: string | null) => ({
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason }],
    });
    return { sse: [chunk({ content: text }, null), chunk({}, 'stop'), { choices: [], usage }, 'data: [DONE]'] };
  }
  const choices = [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }];
  return { body: { object: 'chat.completion', choices, usage } };
}

const indexOf: Readonly<Record<string, (position: number) => number | undefined>> = {
  given: (position) => position,
  allZero: () => 0,
  fromOne: (position) => position + 1,
  withoutZero: (position) => position || undefined,
};

function embeddingsBody(how: NonNullable<ServerReply['embeddings']>, body: unknown): string {
  const { dimensions, encoding, index = 'given', isReversed, count, usage, model, of = {} } = how;
  const inputs = list(valueAt(body, 'input')) as readonly string[];
  const isBase64 = (encoding ?? valueAt(body, 'encoding_format')) === 'base64';
  const items = inputs.map((text, position) => {
    const vector = fakeServerVector(text, dimensions);
    const embedding = isBase64 ? Buffer.from(new Float32Array(vector).buffer).toString('base64') : vector;
    const shown = indexOf[index]?.(position);
    // Not all that servers send is JSON: NaN is not.
    return `{"object":"embedding",${shown === undefined ? '' : `"index":${shown},`}"embedding":${of[text] ?? JSON.stringify(embedding)}}`;
  });
  if (isReversed) items.reverse();
  if (count === 0) items.length = 0;
  const counted = usage ?? { prompt_tokens: inputs.length * 3, total_tokens: inputs.length * 3 };
  const name = JSON.stringify(model ?? valueAt(body, 'model'));
  return `{"object":"list","data":[${items}],"model":${name},"usage":${JSON.stringify(counted)}}`;
}

async function sendEvents(reply: ServerReply, response: ServerResponse): Promise<void> {
  const { sse = [], lineEnd = '\n', hasByteOrderMark, bytesAtOnce = Infinity, isLeftOpen, cut } = reply;
  if (hasByteOrderMark) response.write('\uFEFF');
  for (const item of sse) {
    if (typeof item === 'number') {
      await sleep(item);
      continue;
    }
    const lines = typeof item === 'string' ? item : `data: ${JSON.stringify(item)}`;
    const bytes = Buffer.from(`${lines}\n\n`.replaceAll('\n', lineEnd));
    for (let from = 0; from < bytes.length; from += bytesAtOnce) {
      response.write(bytes.subarray(from, from + bytesAtOnce));
      await setImmediate();
    }
  }
  if (cut) await sleep(20).then(() => response.destroy());
  else if (!isLeftOpen) response.end();
}
