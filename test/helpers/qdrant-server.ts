import { QdrantClient } from '@qdrant/js-client-rest';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import { RestServer } from './rest-server.js';

/** The real server to test on, as QDRANT_URL says; without it, a loud line says that the suite did not run. */
export function qdrantServerUrl(what: string): string | undefined {
  const url = process.env.QDRANT_URL;
  if (url) return url;
  console.warn(`\n*** NOT RUN on a Qdrant server: ${what}. Set QDRANT_URL (and QDRANT_API_KEY) to run it. ***\n`);
  return undefined;
}

export function openServerStore(url: string): PulseQdrantClient {
  return new PulseQdrantClient({ url, apiKey: process.env.QDRANT_API_KEY || undefined });
}

/** Drops the collections that tests made for these tenants, and shared ones of tables named after them. */
export async function removeTables(url: string, tenantIds: readonly number[]): Promise<void> {
  const { protocol, hostname, port, pathname } = new URL(url);
  const client = new QdrantClient({
    host: hostname,
    port: Number(port) || (protocol === 'https:' ? 443 : 6333),
    https: protocol === 'https:',
    ...(pathname === '/' ? {} : { prefix: pathname.replace(/\/$/, '') }),
    checkCompatibility: false,
    ...(process.env.QDRANT_API_KEY ? { headers: { 'api-key': process.env.QDRANT_API_KEY } } : {}),
  });
  const { collections } = await client.getCollections();
  for (const { name } of collections) {
    // Also `shared_docs_7_2`, `shared_docs_7@2` and the like.
    const isOurs = tenantIds.some((id) => name.startsWith(`client_${id}_`) || new RegExp(`_${id}(_|@|$)`).test(name));
    if (isOurs) await client.deleteCollection(name);
  }
}

export interface StoreUnderTest {
  readonly name: string;
  open(): Promise<PulseQdrantClient>;
  /** Removes what tests made for these tenants. */
  clean(tenantIds: readonly number[]): Promise<void>;
}

/**
 * The local engine, the same behind Qdrant's REST routes through the real client, and the server where there is one.
 */
export function storesUnderTest(what: string): StoreUnderTest[] {
  const stores: StoreUnderTest[] = [
    { name: 'in memory', open: async () => new PulseQdrantClient({ location: ':memory:' }), clean: async () => {} },
    overHttp(),
  ];
  const url = qdrantServerUrl(what);
  if (url === undefined) return stores;
  return [
    ...stores,
    { name: `on ${url}`, open: async () => openServerStore(url), clean: (ids) => removeTables(url, ids) },
  ];
}

function overHttp(): StoreUnderTest {
  const servers: RestServer[] = [];
  return {
    name: 'over HTTP',
    open: async () => {
      const server = await RestServer.start();
      servers.push(server);
      return new PulseQdrantClient({ host: '127.0.0.1', port: server.port });
    },
    clean: async () => {
      await servers.pop()?.stop();
    },
  };
}

/** Tenants that no other test and no earlier run has. */
export function tenantSequence(): { next(): number; readonly used: number[] } {
  let tenant = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
  const used: number[] = [];
  return {
    used,
    next: () => {
      used.push(++tenant);
      return tenant;
    },
  };
}
