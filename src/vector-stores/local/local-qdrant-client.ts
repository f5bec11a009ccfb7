import { type AiProviderError, InvalidInputError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';
import type { QdrantClientLike, QdrantPoint } from '../qdrant-api.js';
import type { Collection, Mutation, Scan } from './collection.js';
import { mergeUpdateCollection, parseCreateCollection } from './collection-config.js';
import { describeCollection } from './collection-description.js';
import { CollectionRegistry } from './collection-registry.js';
import { parsePayloadIndex } from './filter/payload-index.js';
import { formatPath, parsePath } from './filter/payload-path.js';
import { selectRows } from './filter/row-selection.js';
import type { JsonObject } from './json.js';
import { parsePointBatch } from './point-batch.js';
import { parsePointId } from './point-id.js';
import { readPoint, readRecord, readSelection } from './point-response.js';
import { formatError } from './qdrant-api-error.js';
import { countFacets } from './query/facet.js';
import { parseQuery, runQuery } from './query/query.js';
import { runQueryGroups } from './query/query-groups.js';
import { parseOptionalFilter, requireObject } from './query/request.js';
import { runScroll } from './query/scroll.js';
import { type Caller, ScanSchedule } from './scan-schedule.js';
import { planUpsert, selectIds } from './write-plans.js';

/**
 * The version of Qdrant whose answers the engine gives, payload indexes included. `npm run test:congruence` compares it
 * with Qdrant's own code.
 */
const emulatedVersion = '1.19.1';

export interface LocalQdrantClientOptions {
  /**
   * `:memory:`, or a folder that holds nothing else; it is created if it does not exist. One process at a time may
   * have a folder open.
   */
  readonly location: string;
}

interface UpdateResult {
  readonly operation_id: number;
  readonly status: 'completed';
}

/**
 * Qdrant in this process: the methods of Qdrant's REST client that this library calls, with the same requests,
 * responses, errors, filters and scores, on an engine that scans every vector that a filter leaves, so that each search
 * is exact.
 *
 * It is made for tests, development, and stores of up to about 250,000 vectors a collection; beyond that a Qdrant
 * server is next.
 *
 * @example
 * const client = await LocalQdrantClient.open({ location: './vectors' });
 * await client.createCollection('documents', { vectors: { size: 384, distance: 'Cosine' } });
 * await client.upsert('documents', { points: [{ id: 1, vector, payload: { language: 'en' } }] });
 * const { points } = await client.query('documents', { query: vector, limit: 3, with_payload: true });
 * await client.close();
 */
export class LocalQdrantClient implements QdrantClientLike {
  readonly acceptsFloat32Array = true;
  readonly #registry: CollectionRegistry;
  readonly #schedule: ScanSchedule;
  readonly #caller: Caller;
  #operationId = 0;

  /**
   * Opens a store.
   *
   * @throws {@link AiProviderError} `storage_locked` if another client has the folder open, `storage_corrupt` if
   *   its files were damaged, `unsupported_operation` if a newer version wrote them, `vector_store_failed` if the
   *   folder holds something else or the operating system refuses it.
   */
  static async open(options: LocalQdrantClientOptions): Promise<LocalQdrantClient> {
    const location: unknown = options?.location;
    if (typeof location !== 'string' || location === '') {
      throw new InvalidInputError(
        `Expected \`location\` to be ':memory:' or a folder, got ${describeValue(location)}.`,
      );
    }
    if (location.includes('\0')) throw new InvalidInputError('Expected `location` to have no NUL character.');
    return new LocalQdrantClient(await CollectionRegistry.open(location), new ScanSchedule(), {});
  }

  private constructor(registry: CollectionRegistry, schedule: ScanSchedule, caller: Caller) {
    this.#registry = registry;
    this.#schedule = schedule;
    this.#caller = caller;
  }

  /** The same client for the calls of one caller, whose scans end with its signal and share the time of its key. */
  forCaller(caller: Caller): LocalQdrantClient {
    return new LocalQdrantClient(this.#registry, this.#schedule, caller);
  }

  /**
   * @throws if a collection can no longer be written to: whoever asks for the version asks whether the store is
   *   well.
   */
  async versionInfo(): Promise<{ title: string; version: string }> {
    this.#registry.requireHealthy();
    return { title: 'pulse-local-engine', version: emulatedVersion };
  }

  async getCollections(): Promise<{ collections: { name: string }[] }> {
    return { collections: this.#registry.names().map((name) => ({ name })) };
  }

  async collectionExists(collectionName: string): Promise<{ exists: boolean }> {
    return { exists: this.#registry.has(collectionName) };
  }

  async getCollection(collectionName: string): Promise<JsonObject> {
    return this.#scan(collectionName, describeCollection);
  }

  async createCollection(collectionName: string, request: unknown): Promise<boolean> {
    await this.#registry.create(parseCreateCollection(collectionName, request));
    return true;
  }

  async updateCollection(collectionName: string, request: unknown): Promise<boolean> {
    await this.#change(collectionName, ({ config }) => ({
      kind: 'configure',
      config: mergeUpdateCollection(config, request),
    }));
    return true;
  }

  async deleteCollection(collectionName: string): Promise<boolean> {
    return this.#registry.delete(collectionName);
  }

  async createPayloadIndex(collectionName: string, request: unknown): Promise<UpdateResult> {
    const { field_name: name, field_schema: given } = requireObject(request);
    const key = formatPath(parsePath(name));
    const schema = parsePayloadIndex(given);
    return this.#change(collectionName, ({ config }) => ({
      kind: 'configure',
      config: { ...config, payloadIndexes: { ...config.payloadIndexes, [key]: schema } },
    }));
  }

  async getAliases(): Promise<{ aliases: { alias_name: string; collection_name: string }[] }> {
    return { aliases: this.#registry.aliases() };
  }

  async updateCollectionAliases(request: unknown): Promise<boolean> {
    await this.#registry.updateAliases(request);
    return true;
  }

  async upsert(collectionName: string, request: unknown): Promise<UpdateResult> {
    const body = requireObject(request);
    return this.#change(collectionName, (collection) =>
      planUpsert(collection, body, parsePointBatch(body, collection)),
    );
  }

  async delete(collectionName: string, request: unknown): Promise<UpdateResult> {
    const body = requireObject(request);
    const { collection } = this.#registry.get(collectionName);
    const select = await selectIds(collection, body, (run) => this.#scan(collectionName, run));
    return this.#change(collectionName, () => ({ kind: 'delete', ids: select() }));
  }

  async query(collectionName: string, request: unknown): Promise<{ points: QdrantPoint[] }> {
    const { collection } = this.#registry.get(collectionName);
    const query = parseQuery(request, collection);
    const selection = readSelection(requireObject(request), false);
    return this.#scan(collectionName, async (scan) => {
      const hits = await runQuery(scan, query);
      return { points: hits.map((hit) => readPoint(collection, hit, selection)) };
    });
  }

  async queryBatch(collectionName: string, request: unknown): Promise<{ points: QdrantPoint[] }[]> {
    const { searches } = requireObject(request);
    if (!Array.isArray(searches)) throw formatError('`searches` must be a list of queries');
    return Promise.all(searches.map((search) => this.query(collectionName, search)));
  }

  async queryGroups(
    collectionName: string,
    request: unknown,
  ): Promise<{ groups: { id: string | number; hits: QdrantPoint[] }[] }> {
    return this.#scan(collectionName, async (scan) => ({ groups: await runQueryGroups(scan, requireObject(request)) }));
  }

  async scroll(
    collectionName: string,
    request: unknown = {},
  ): Promise<{ points: QdrantPoint[]; next_page_offset: string | number | null }> {
    return this.#scan(collectionName, (scan) => runScroll(scan, requireObject(request)));
  }

  async retrieve(collectionName: string, request: unknown): Promise<QdrantPoint[]> {
    const { collection } = this.#registry.get(collectionName);
    const body = requireObject(request);
    if (!Array.isArray(body.ids)) throw formatError('`ids` must be a list of point ids');
    const rows = body.ids.map((id) => collection.points.rowOf(parsePointId(id))).filter((row) => row !== undefined);
    const selection = readSelection(body, true);
    return rows.map((row) => readRecord(collection, row, selection));
  }

  async count(collectionName: string, request: unknown = {}): Promise<{ count: number }> {
    const { collection } = this.#registry.get(collectionName);
    const filter = parseOptionalFilter(requireObject(request).filter, collection);
    return this.#scan(collectionName, async (scan) => ({ count: (await selectRows(scan, filter)).length }));
  }

  async facet(
    collectionName: string,
    request: unknown,
  ): Promise<{ hits: { value: string | number | boolean; count: number }[] }> {
    return this.#scan(collectionName, async (scan) => ({ hits: await countFacets(scan, requireObject(request)) }));
  }

  /** Writes what is pending and gives the folder free. Idempotent; later calls fail with `aborted_by_close`. */
  async close(): Promise<void> {
    await this.#registry.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Reads a collection in slices, in turns with other scans. */
  async #scan<Result>(collectionName: string, run: (scan: Scan) => Promise<Result>): Promise<Result> {
    const { collection } = this.#registry.get(collectionName);
    return this.#schedule.run(this.#caller, (turns) => collection.scan(turns, run));
  }

  /** Plans a change, applies it, and returns when it is durable. */
  async #change(collectionName: string, plan: (collection: Collection) => Mutation): Promise<UpdateResult> {
    await this.#registry.get(collectionName).change(plan);
    return { operation_id: this.#operationId++, status: 'completed' };
  }
}
