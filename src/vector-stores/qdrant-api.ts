/**
 * The part of `@qdrant/js-client-rest`'s `QdrantClient` that this library calls: only what its lines 1.18 and 1.19 both have. The real
 * client satisfies it, and so does the local engine; a test, a host or another transport can replace either.
 *
 * Requests and responses are in Qdrant's REST form (https://api.qdrant.tech), loosely typed on purpose: our types must compile where
 * the optional peer is not installed.
 */
export interface QdrantClientLike {
  /**
   * The generated API of the real client. Its 1.18 line drops `metadata` in `createCollection`; only this way does a collection have its
   * owner and embedding space from its first moment. A stand-in leaves it out and takes `metadata` in `createCollection`. `readyz` is asked
   * where only tenants have keys.
   */
  api?(): {
    createCollection(request: QdrantRequest): Promise<unknown>;
    readyz?(request: QdrantRequest): Promise<unknown>;
  };
  /** Whether `upsert` and queries take a `Float32Array` as it is. The real client does not: JSON makes an object of one. */
  readonly acceptsFloat32Array?: boolean;

  /**
   * The same client for the calls of one caller: they end with the signal, and scans of one key share the time that those
   * of other keys leave. The real client has no such thing; only work that is done in this process needs it.
   */
  forCaller?(caller: {
    readonly signal?: AbortSignal | undefined;
    readonly fairnessKey?: string | number | undefined;
  }): QdrantClientLike;

  versionInfo(): Promise<{ version: string }>;

  getCollections(): Promise<{ collections: { name: string }[] }>;
  getCollection(collectionName: string): Promise<QdrantResponse>;
  createCollection(collectionName: string, request: QdrantRequest): Promise<boolean>;
  updateCollection(collectionName: string, request: QdrantRequest): Promise<boolean>;
  deleteCollection(collectionName: string, request?: QdrantRequest): Promise<boolean>;
  createPayloadIndex(collectionName: string, request: QdrantRequest): Promise<QdrantResponse>;
  getAliases(): Promise<{ aliases: { alias_name: string; collection_name: string }[] }>;
  updateCollectionAliases(request: QdrantRequest): Promise<boolean>;

  upsert(collectionName: string, request: QdrantRequest): Promise<QdrantResponse>;
  delete(collectionName: string, request: QdrantRequest): Promise<QdrantResponse>;

  query(collectionName: string, request: QdrantRequest): Promise<{ points: QdrantPoint[] }>;
  queryBatch(collectionName: string, request: QdrantRequest): Promise<{ points: QdrantPoint[] }[]>;
  queryGroups(
    collectionName: string,
    request: QdrantRequest,
  ): Promise<{ groups: { id: string | number; hits: QdrantPoint[] }[] }>;
  scroll(
    collectionName: string,
    request: QdrantRequest,
  ): Promise<{ points: QdrantPoint[]; next_page_offset?: unknown }>;
  count(collectionName: string, request: QdrantRequest): Promise<{ count: number }>;
  facet(collectionName: string, request: QdrantRequest): Promise<{ hits: { value: unknown; count: number }[] }>;
}

// biome-ignore lint/suspicious/noExplicitAny: structural counterpart of generated types
export type QdrantRequest = any;
// biome-ignore lint/suspicious/noExplicitAny: structural counterpart of generated types
export type QdrantResponse = any;

export interface QdrantPoint {
  id: string | number;
  score?: number;
  payload?: Record<string, unknown> | null;
  vector?: unknown;
}
