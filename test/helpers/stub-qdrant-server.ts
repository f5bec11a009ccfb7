import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any form
  readonly body: any;
  readonly byteCount: number;
}

/** Answers one request in place of the stub; true if it did. */
export type Interceptor = (request: RecordedRequest, response: ServerResponse, socket: Socket) => boolean;

interface StubCollection {
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any form
  config: any;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any form
  points: Map<string, any>;
  indexes: Record<string, unknown>;
}

/**
 * A real HTTP server that answers the requests of PulseQdrantClient in Qdrant's wire form: enough to test the wire,
 * retries and failures. It knows only `match.value` and `has_id` conditions; what a filter means is tested on the local
 * engine and on a real server.
 */
export class StubQdrantServer {
  readonly requests: RecordedRequest[] = [];
  readonly collections = new Map<string, StubCollection>();
  /** Asked first, for each request. */
  intercept: Interceptor = () => false;
  /** A server before 1.16 drops a collection's metadata. */
  keepsMetadata = true;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(): Promise<StubQdrantServer> {
    const stub = new StubQdrantServer();
    await new Promise<void>((resolve) => stub.#server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  requestsTo(pattern: RegExp): RecordedRequest[] {
    return this.requests.filter(({ method, path }) => pattern.test(`${method} ${path}`));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const url = new URL(incoming.url ?? '/', 'http://stub');
    const request: RecordedRequest = {
      method: incoming.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: incoming.headers,
      body: text === '' ? undefined : JSON.parse(text),
      byteCount: Buffer.byteLength(text),
    };
    this.requests.push(request);
    if (this.intercept(request, response, incoming.socket)) return;
    if (request.path === '/collections') {
      const collections = [...this.collections.keys()].map((name) => ({ name }));
      return sendJson(response, 200, { result: { collections }, status: 'ok', time: 0 });
    }
    if (request.path === '/') return sendJson(response, 200, { title: 'stub', version: '1.19.0' });
    const { status, result, error } = this.#answer(request);
    sendJson(
      response,
      status,
      error === undefined ? { result, status: 'ok', time: 0 } : { status: { error }, time: 0 },
    );
  }

  #answer(request: RecordedRequest): { status: number; result?: unknown; error?: string } {
    const [, name = '', action = ''] = /^\/collections\/([^/]+)(?:\/(.*))?$/.exec(request.path) ?? [];
    const collection = this.collections.get(decodeURIComponent(name));
    const route = `${request.method} ${action}`;
    if (route === 'PUT ') {
      if (collection !== undefined)
        return { status: 409, error: `Wrong input: Collection \`${name}\` already exists!` };
      const { vectors, metadata, ...config } = request.body;
      this.collections.set(name, {
        config: { params: { vectors }, ...config, ...(this.keepsMetadata ? { metadata } : {}) },
        points: new Map(),
        indexes: {},
      });
      return { status: 200, result: true };
    }
    if (collection === undefined) return { status: 404, error: `Not found: Collection \`${name}\` doesn't exist!` };
    return { status: 200, result: this.#change(collection, route, request.body) };
  }

  // biome-ignore lint/suspicious/noExplicitAny: JSON of any form
  #change(collection: StubCollection, route: string, body: any): unknown {
    const { points } = collection;
    // biome-ignore lint/suspicious/noExplicitAny: JSON of any form
    const matching = (): any[] => [...points.values()].filter((point) => matches(point, body.filter));
    switch (route) {
      case 'GET ':
        return {
          status: 'green',
          points_count: points.size,
          config: collection.config,
          payload_schema: collection.indexes,
        };
      case 'PATCH ':
        if (this.keepsMetadata) collection.config.metadata = { ...collection.config.metadata, ...body.metadata };
        return true;
      case 'PUT index':
        collection.indexes[body.field_name] = body.field_schema;
        return { operation_id: 1, status: 'completed' };
      case 'PUT points':
        for (const point of body.points) points.set(point.id, point);
        return { operation_id: 1, status: 'completed' };
      case 'POST points/delete':
        for (const { id } of matching()) points.delete(id);
        return { operation_id: 1, status: 'completed' };
      case 'POST points/count':
        return { count: matching().length };
      case 'POST points/scroll':
        return { points: matching().slice(0, body.limit), next_page_offset: null };
      case 'POST points/query':
        return {
          points: matching()
            .map((point) => ({
              id: point.id,
              version: 1,
              score: cosine(point.vector, body.query),
              payload: point.payload,
            }))
            .filter(({ score }) => score > (body.score_threshold ?? Number.NEGATIVE_INFINITY))
            .sort((a, b) => b.score - a.score)
            .slice(0, body.limit),
        };
      default:
        throw new Error(`The stub has no route ${route}`);
    }
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of any form
function matches(point: any, filter: any): boolean {
  // biome-ignore lint/suspicious/noExplicitAny: JSON of any form
  return filter.must.every((condition: any) => {
    if (condition.has_id) return condition.has_id.includes(point.id);
    if (condition.must) return matches(point, condition);
    return point.payload[condition.key] === condition.match.value;
  });
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b));
}
