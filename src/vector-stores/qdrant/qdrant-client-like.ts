/**
 * The part of `@qdrant/js-client-rest`'s `QdrantClient` that this library calls: only what its lines 1.18 and 1.19 both have. The real
 * client satisfies it, and so does the local engine, so that a test, a host or another transport can stand in for either.
 *
 * Requests and responses are in Qdrant's REST form (https://api.qdrant.tech), loosely typed on purpose: our types must compile where
 * the optional peer is not installed.
 */
export interface QdrantClientLike {
  getCollections(): Promise<{ collections: { name: string }[] }>;
  collectionExists(collectionName: string): Promise<{ exists: boolean }>;
  // biome-ignore lint/suspicious/noExplicitAny: structural counterpart of generated types
  getCollection(collectionName: string): Promise<any>;
  createCollection(collectionName: string, request: QdrantRequest): Promise<boolean>;
  updateCollection(collectionName: string, request: QdrantRequest): Promise<boolean>;
  deleteCollection(collectionName: string, request?: QdrantRequest): Promise<boolean>;
  createPayloadIndex(collectionName: string, request: QdrantRequest): Promise<unknown>;
  upsert(collectionName: string, request: QdrantRequest): Promise<unknown>;
  delete(collectionName: string, request: QdrantRequest): Promise<unknown>;
  query(collectionName: string, request: QdrantRequest): Promise<{ points: QdrantPoint[] }>;
  scroll(
    collectionName: string,
    request: QdrantRequest,
  ): Promise<{ points: QdrantPoint[]; next_page_offset?: unknown }>;
  count(collectionName: string, request: QdrantRequest): Promise<{ count: number }>;
}

// biome-ignore lint/suspicious/noExplicitAny: structural counterpart of generated types
export type QdrantRequest = any;

export interface QdrantPoint {
  id: string | number;
  score?: number;
  payload?: Record<string, unknown> | null;
  vector?: unknown;
}
