import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { sendJson } from './stub-qdrant-server.js';

// biome-ignore lint/suspicious/noExplicitAny: JSON of any form
type Json = any;
type Handler = (engine: LocalQdrantClient, name: string, body: Json) => Promise<unknown>;

/** Qdrant's REST routes, as the real client calls them. */
const routes: readonly [method: string, path: RegExp, handler: Handler][] = [
  ['GET', /^\/$/, (engine) => engine.versionInfo()],
  ['GET', /^\/collections$/, (engine) => engine.getCollections()],
  ['GET', /^\/aliases$/, (engine) => engine.getAliases()],
  ['POST', /^\/collections\/aliases$/, (engine, _, body) => engine.updateCollectionAliases(body)],
  ['GET', /^\/collections\/([^/]+)$/, (engine, name) => engine.getCollection(name)],
  ['PUT', /^\/collections\/([^/]+)$/, (engine, name, body) => engine.createCollection(name, body)],
  ['PATCH', /^\/collections\/([^/]+)$/, (engine, name, body) => engine.updateCollection(name, body)],
  ['DELETE', /^\/collections\/([^/]+)$/, (engine, name) => engine.deleteCollection(name)],
  ['PUT', /^\/collections\/([^/]+)\/index$/, (engine, name, body) => engine.createPayloadIndex(name, body)],
  ['PUT', /^\/collections\/([^/]+)\/points$/, (engine, name, body) => engine.upsert(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/delete$/, (engine, name, body) => engine.delete(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/query$/, (engine, name, body) => engine.query(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/query\/batch$/, (engine, name, body) => engine.queryBatch(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/query\/groups$/, (engine, name, body) => engine.queryGroups(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/scroll$/, (engine, name, body) => engine.scroll(name, body)],
  ['POST', /^\/collections\/([^/]+)\/points\/count$/, (engine, name, body) => engine.count(name, body)],
  ['POST', /^\/collections\/([^/]+)\/facet$/, (engine, name, body) => engine.facet(name, body)],
];

/**
 * The local engine behind Qdrant's REST routes, so that the suites also run through the real clients: their JSON, paths
 * and errors.
 */
export class RestServer {
  readonly #engine: LocalQdrantClient;
  readonly #server = createServer((request, response) => void this.#handle(request, response));
  /** Changes that were asked for without `wait=true`. */
  readonly unwaited: string[] = [];

  private constructor(engine: LocalQdrantClient) {
    this.#engine = engine;
  }

  static async start(): Promise<RestServer> {
    const server = new RestServer(await LocalQdrantClient.open({ location: ':memory:' }));
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#engine.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const url = new URL(request.url ?? '/', 'http://server');
    const route = routes.find(([method, path]) => method === request.method && path.test(url.pathname));
    if (route === undefined)
      return sendJson(response, 501, { status: { error: `no route ${request.method} ${url.pathname}` } });
    const [, path, handler] = route;
    if (/(points|delete|index)$/.test(url.pathname) && url.searchParams.get('wait') !== 'true') {
      this.unwaited.push(`${request.method} ${url.pathname}`);
    }
    try {
      const name = decodeURIComponent(path.exec(url.pathname)?.[1] ?? '');
      const result = await handler(this.#engine, name, text === '' ? undefined : JSON.parse(text, asServersRead));
      // `GET /` is the one answer that is not wrapped.
      sendJson(response, 200, url.pathname === '/' ? result : { result, status: 'ok', time: 0 });
    } catch (error) {
      const { status = 500, data = { status: { error: String(error) } } } = error as { status?: number; data?: Json };
      sendJson(response, status, data);
    }
  }
}

/** Qdrant's JSON parser reads one in ten numbers of 17 digits as its neighbour; this one does so with more of them. */
function asServersRead(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(16)) : value;
}
