import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LocalQdrantClient } from '../../src/vector-stores/local/local-qdrant-client.js';

/** A REST route of Qdrant (https://api.qdrant.tech), and what answers it. `$` stands for the collection's name. */
type Handler = (engine: LocalQdrantClient, name: string, body: unknown) => Promise<unknown>;
const routes: readonly (readonly [string, Handler])[] = [
  ['GET /collections', (engine) => engine.getCollections()],
  ['GET /aliases', (engine) => engine.getAliases()],
  ['POST /collections/aliases', (engine, _, body) => engine.updateCollectionAliases(body)],
  ['GET /collections/$/exists', (engine, name) => engine.collectionExists(name)],
  ['GET /collections/$', (engine, name) => engine.getCollection(name)],
  ['PUT /collections/$', (engine, name, body) => engine.createCollection(name, body)],
  ['PATCH /collections/$', (engine, name, body) => engine.updateCollection(name, body)],
  ['DELETE /collections/$', (engine, name) => engine.deleteCollection(name)],
  ['PUT /collections/$/index', (engine, name, body) => engine.createPayloadIndex(name, body)],
  ['PUT /collections/$/points', (engine, name, body) => engine.upsert(name, body)],
  ['POST /collections/$/points', (engine, name, body) => engine.retrieve(name, body)],
  ['POST /collections/$/points/delete', (engine, name, body) => engine.delete(name, body)],
  ['POST /collections/$/points/query', (engine, name, body) => engine.query(name, body)],
  ['POST /collections/$/points/query/batch', (engine, name, body) => engine.queryBatch(name, body)],
  ['POST /collections/$/points/query/groups', (engine, name, body) => engine.queryGroups(name, body)],
  ['POST /collections/$/points/scroll', (engine, name, body) => engine.scroll(name, body)],
  ['POST /collections/$/points/count', (engine, name, body) => engine.count(name, body)],
  ['POST /collections/$/facet', (engine, name, body) => engine.facet(name, body)],
];

/** The local engine behind real HTTP, so that the real client's wire form meets an engine that refuses what Qdrant refuses. */
export async function startEngineServer(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const engine = await LocalQdrantClient.open({ location: ':memory:' });
  const server = createServer(async (request, response) => {
    const send = (status: number, content: unknown) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
    try {
      const body = await readBody(request);
      send(200, { result: await answer(engine, request, body), status: 'ok', time: 0 });
    } catch (error) {
      const { status = 500, data = { status: { error: String(error) } } } = error as {
        status?: number;
        data?: unknown;
      };
      send(status, data);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await engine.close();
    },
  };
}

async function answer(engine: LocalQdrantClient, request: IncomingMessage, body: unknown): Promise<unknown> {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  for (const [route, handle] of routes) {
    const pattern = new RegExp(`^${route.replace('$', '([^/]+)')}$`);
    const match = pattern.exec(`${request.method} ${pathname}`);
    if (match !== null) return handle(engine, decodeURIComponent(match[1] ?? ''), body);
  }
  throw Object.assign(new Error('no such route'), { status: 404 });
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length === 0 ? undefined : JSON.parse(Buffer.concat(chunks).toString());
}
