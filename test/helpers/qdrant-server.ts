import { QdrantClient } from '@qdrant/js-client-rest';

/** The real server to test on, as QDRANT_URL says; where it says nothing, that is said loudly. */
export function qdrantServerUrl(what: string): string | undefined {
  const url = process.env.QDRANT_URL;
  if (url) return url;
  console.warn(`\n*** NOT RUN on a Qdrant server: ${what}. Set QDRANT_URL (and QDRANT_API_KEY) to run it. ***\n`);
  return undefined;
}

/** Drops the collections that tests made for these tenants. */
export async function removeTenants(url: string, tenantIds: readonly number[]): Promise<void> {
  const { QDRANT_API_KEY: apiKey } = process.env;
  const client = new QdrantClient({
    url,
    checkCompatibility: false,
    ...(apiKey ? { headers: { 'api-key': apiKey } } : {}),
  });
  const prefixes = tenantIds.map((tenantId) => `client_${tenantId}_`);
  const { collections } = await client.getCollections();
  for (const { name } of collections) {
    if (prefixes.some((prefix) => name.startsWith(prefix))) await client.deleteCollection(name);
  }
}
