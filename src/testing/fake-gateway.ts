import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventsOf, type FakeMessage, fakeCompletion } from './fake-completion.js';
import { fakeEmbedding } from './fake-embedding.js';
import type { GatewayFault } from './gateway-fault.js';

export interface FakeGatewayRequest {
  /** 1 for the first request. */
  readonly number: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** The texts of an embeddings request. */
  readonly inputs: readonly string[];
  /** `performance.now()` when it had arrived. */
  readonly receivedAt: number;
}

export interface FakeGatewayOptions {
  /** Requests with another key are answered with 401. @default any key is good */
  readonly apiKey?: string;
  /** @default 8 */
  readonly dimension?: number;
  /** How long each answer takes. @default 0 */
  readonly latencyMs?: number;
  /** What to do wrong with a request, if anything. */
  readonly fault?: (request: FakeGatewayRequest) => GatewayFault | undefined;
  /**
   * What to generate: a text, or a whole message, as one with `tool_calls`. @default the last message, in upper case
   */
  readonly completion?: (request: FakeGatewayRequest) => FakeMessage | string;
}

/**
 * A real HTTP server on 127.0.0.1 that speaks the part of the OpenAI API that the gateway provider uses, and does
 * wrong what it is asked to. Vectors are `fakeEmbedding(text, dimension)`; a text counts as many tokens as it has
 * characters.
 *
 * @example
 * const gateway = await FakeGateway.start({ fault: ({ number }) => number === 1 ? { kind: 'reset' } : undefined });
 * const provider = new WexGatewayProvider({ baseUrl: gateway.baseUrl, apiKey: 'key' });
 * // …
 * await gateway.close();
 */
export class FakeGateway {
  readonly baseUrl: string;
  readonly dimension: number;
  /** Every request that arrived, in order; those for the list of models as well. */
  readonly requests: FakeGatewayRequest[] = [];
  /** May be replaced at any time. */
  fault: NonNullable<FakeGatewayOptions['fault']>;
  readonly #server: Server;
  readonly #options: FakeGatewayOptions;
  #openRequestCount = 0;

  private constructor(server: Server, options: FakeGatewayOptions) {
    this.#server = server;
    this.#options = options;
    this.dimension = options.dimension ?? 8;
    this.fault = options.fault ?? (() => undefined);
    this.baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(options: FakeGatewayOptions = {}): Promise<FakeGateway> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    return new FakeGateway(server, options);
  }

  /** Requests for embeddings and text, without those for the list of models. */
  get billedRequests(): readonly FakeGatewayRequest[] {
    return this.requests.filter(({ path }) => !path.endsWith('/models'));
  }

  /** How many requests are neither answered in full nor given up by the client. */
  get openRequestCount(): number {
    return this.#openRequestCount;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#openRequestCount++;
    response.once('close', () => this.#openRequestCount--);
    const request = await this.#receive(message);
    if (request === undefined) return;
    const fault = this.fault(request);
    const delayMs = (this.#options.latencyMs ?? 0) + (fault?.kind === 'latency' ? fault.delayMs : 0);
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    if (response.destroyed) return;
    response.setHeader('x-request-id', `req-${request.number}`);
    if (fault && sendFailure(request, response, fault)) return;
    const { apiKey } = this.#options;
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      sendJson(response, 401, errorBody({ code: 'invalid_api_key', message: 'Incorrect API key provided.' }));
    } else if (request.path.endsWith('/models')) {
      sendJson(response, 200, { object: 'list', data: [] });
    } else if (request.path.endsWith('/embeddings')) {
      sendBody(response, JSON.stringify(this.#embeddings(request, fault)), fault);
    } else if (request.path.endsWith('/chat/completions')) {
      const completion = fakeCompletion(request, this.#options.completion?.(request));
      if (request.body.stream === true) sendEvents(response, eventsOf(completion, request), fault);
      else sendBody(response, JSON.stringify(completion), fault);
    } else {
      sendJson(response, 404, errorBody({ code: 'not_found', message: 'No such path.' }));
    }
  }

  /** Undefined if the client went away first. */
  async #receive(message: IncomingMessage): Promise<FakeGatewayRequest | undefined> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of message) chunks.push(chunk as Buffer);
    } catch {
      return undefined;
    }
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    const { input } = body;
    const request: FakeGatewayRequest = {
      number: this.requests.length + 1,
      method: message.method ?? '',
      path: new URL(message.url ?? '/', 'http://localhost').pathname,
      headers: message.headers,
      body,
      inputs: typeof input === 'string' ? [input] : Array.isArray(input) ? (input as string[]) : [],
      receivedAt: performance.now(),
    };
    this.requests.push(request);
    return request;
  }

  #embeddings({ body, inputs }: FakeGatewayRequest, fault: GatewayFault | undefined) {
    const dimension = typeof body.dimensions === 'number' ? body.dimensions : this.dimension;
    const asBase64 = body.encoding_format === 'base64' && fault?.kind !== 'float';
    const data = inputs.map((input, index) => {
      const vector = index === 0 ? spoil(fakeEmbedding(input, dimension), fault) : fakeEmbedding(input, dimension);
      const embedding = asBase64
        ? Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64')
        : Array.from(vector);
      return {
        object: 'embedding',
        index: fault?.kind === 'repeated_index' ? 0 : index,
        embedding: fault?.kind === 'unknown_encoding' ? { values: embedding } : embedding,
      };
    });
    if (fault?.kind === 'wrong_count') data.pop();
    if (fault?.kind === 'shuffled') data.reverse();
    const tokens = inputs.reduce((sum, input) => sum + input.length, 0);
    return {
      object: 'list',
      data,
      model: body.model,
      ...(fault?.kind === 'no_usage' ? {} : { usage: { prompt_tokens: tokens, total_tokens: tokens } }),
    };
  }
}

function spoil(vector: Float32Array, fault: GatewayFault | undefined): Float32Array {
  if (fault?.kind === 'nan') vector[0] = Number.NaN;
  if (fault?.kind === 'zero_vector') vector.fill(0);
  return fault?.kind === 'wrong_dimension' ? vector.slice(1) : vector;
}

/** Whether the fault was the whole answer. */
function sendFailure(request: FakeGatewayRequest, response: ServerResponse, fault: GatewayFault): boolean {
  switch (fault.kind) {
    case 'reset':
      response.destroy();
      return true;
    case 'stall':
      return true;
    case 'reset_after_headers':
      response.write('\n', () => response.destroy());
      return true;
    case 'stall_after_headers':
      response.flushHeaders();
      return true;
    case 'status': {
      const { status, headers = {}, error = { code: null, message: `Answered with ${status} as told.` } } = fault;
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      if (typeof error === 'string') response.writeHead(status).end(error);
      else sendJson(response, status, errorBody(error));
      return true;
    }
    case 'echoed_key': {
      const key = String(request.headers.authorization);
      const bare = key.replace('Bearer ', '');
      response.setHeader('x-request-id', bare);
      sendJson(
        response,
        fault.status ?? 400,
        errorBody({ message: `Bad key ${key}`, code: bare, type: bare, param: bare }),
      );
      return true;
    }
    default:
      return false;
  }
}

function sendBody(
  response: ServerResponse,
  body: string,
  fault: GatewayFault | undefined,
  brokenLength = body.length >> 1,
): void {
  if (!response.hasHeader('content-type')) response.setHeader('content-type', 'application/json');
  const half = body.slice(0, brokenLength);
  if (fault?.kind === 'truncated_json') {
    response.end(half);
  } else if (fault?.kind === 'stall_in_body') {
    response.write(half);
  } else if (fault?.kind === 'reset_in_body') {
    response.write(half, () => response.destroy());
  } else {
    response.end(body);
  }
}

/** Server-sent events. A fault of the body strikes after half of them. */
function sendEvents(response: ServerResponse, events: readonly unknown[], fault: GatewayFault | undefined): void {
  response.setHeader('content-type', 'text/event-stream');
  const lines = [...events.map((event) => JSON.stringify(event)), '[DONE]'].map((data) => `data: ${data}\n\n`);
  const isBroken = ['truncated_json', 'stall_in_body', 'reset_in_body'].includes(fault?.kind ?? '');
  const sent = isBroken ? lines.slice(0, lines.length >> 1) : lines;
  sendBody(response, sent.join(''), isBroken ? fault : undefined, sent.join('').length);
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function errorBody(error: Readonly<Record<string, unknown>>) {
  return { error: { message: '', type: null, param: null, code: null, ...error } };
}
