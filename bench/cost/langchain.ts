import { Document } from '@langchain/core/documents';
import { Embeddings } from '@langchain/core/embeddings';
import { index, RecordManager } from '@langchain/core/indexing';
import { VectorStore } from '@langchain/core/vectorstores';
import { isOutage, month, type Outcome, paidDimension, replayMonth, tokensOf, vectorOf } from './month.js';
import { isSame } from './ours.js';

/** LangChain's indexing API with its record manager and embeddings that are cached by their text; one gateway, as it has no failover. */
export async function runLangChain(): Promise<Outcome> {
  const now = { day: 0, hour: 0 };
  let paidTokens = 0;
  const embed = (texts: readonly string[]) => {
    if (isOutage(now.day, now.hour)) throw new Error('503');
    paidTokens += texts.reduce((sum, text) => sum + tokensOf(text), 0);
    return texts.map((text) => [...vectorOf(text, paidDimension)]);
  };
  const cached = new CachedEmbeddings(embed);
  const vectorStore = new MapStore(cached);
  const recordManager = new MapRecordManager();
  let [calls, answered] = [0, 0];
  let last: readonly { readonly id: number; readonly text: string }[] = [];
  const attempt = async (call: () => Promise<unknown>) => {
    calls++;
    answered += await call().then(
      () => 1,
      () => 0,
    );
  };
  for (const { day, items, queries } of replayMonth()) {
    Object.assign(now, { day, hour: month.ingestHour });
    const docsSource = items.map(
      ({ id, text }) => new Document({ pageContent: text, metadata: { source: String(id) } }),
    );
    await attempt(() =>
      index({
        docsSource,
        recordManager,
        vectorStore,
        options: { cleanup: 'incremental', sourceIdKey: 'source', batchSize: 400 },
      }),
    );
    for (const { hour, text } of queries) {
      now.hour = hour;
      await attempt(async () => vectorStore.similaritySearchVectorWithScore(await cached.embedQuery(text), 3));
    }
    last = items;
  }
  const right = last.filter(({ id, text }) => {
    const vector = vectorStore.bySource.get(String(id));
    return vector !== undefined && isSame(vector, vectorOf(text, paidDimension));
  }).length;
  const name = 'LangChain indexing, record manager and cached embeddings';
  return { name, paidTokens, freeTokens: 0, calls, answered, mixedVectors: 0, lostRecords: last.length - right };
}

/** As `CacheBackedEmbeddings`: documents are cached, queries are not. */
class CachedEmbeddings extends Embeddings {
  readonly #cache = new Map<string, number[]>();
  readonly #embed: (texts: readonly string[]) => number[][];

  constructor(embed: (texts: readonly string[]) => number[][]) {
    super({});
    this.#embed = embed;
  }

  async embedDocuments(texts: string[]): Promise<number[][]> {
    const missing = [...new Set(texts.filter((text) => !this.#cache.has(text)))];
    if (missing.length > 0) {
      const vectors = this.#embed(missing);
      missing.forEach((text, at) => {
        this.#cache.set(text, vectors[at]!);
      });
    }
    return texts.map((text) => this.#cache.get(text)!);
  }

  async embedQuery(text: string): Promise<number[]> {
    return this.#embed([text])[0]!;
  }
}

/** Keeps vectors by the ids that the indexing gives, and by source for the check at the end; searching is not what is measured. */
class MapStore extends VectorStore {
  readonly bySource = new Map<string, number[]>();
  readonly #sourceOf = new Map<string, string>();

  constructor(embeddings: Embeddings) {
    super(embeddings, {});
  }

  override _vectorstoreType(): string {
    return 'map';
  }

  override async addDocuments(documents: Document[], options?: { ids?: string[] }): Promise<string[]> {
    return this.addVectors(
      await this.embeddings.embedDocuments(documents.map((one) => one.pageContent)),
      documents,
      options,
    );
  }

  override async addVectors(
    vectors: number[][],
    documents: Document[],
    options?: { ids?: string[] },
  ): Promise<string[]> {
    const ids = options?.ids ?? [];
    documents.forEach(({ metadata }, at) => {
      this.bySource.set(metadata.source as string, vectors[at]!);
      this.#sourceOf.set(ids[at]!, metadata.source as string);
    });
    return ids;
  }

  override async similaritySearchVectorWithScore(_query: number[], _k: number): Promise<[Document, number][]> {
    return [];
  }

  override async delete({ ids }: { ids: string[] }): Promise<void> {
    for (const id of ids) this.#sourceOf.delete(id);
  }
}

class MapRecordManager extends RecordManager {
  override lc_namespace = ['bench'];
  readonly #records = new Map<string, { at: number; group: string | null }>();
  readonly #byGroup = new Map<string, Set<string>>();
  #time = 0;

  override async createSchema(): Promise<void> {}

  override async getTime(): Promise<number> {
    return ++this.#time;
  }

  override async update(keys: string[], { groupIds = [] }: { groupIds?: (string | null)[] } = {}): Promise<void> {
    const at = ++this.#time;
    keys.forEach((key, place) => {
      const group = groupIds[place] ?? this.#records.get(key)?.group ?? null;
      this.#records.set(key, { at, group });
      if (group === null) return;
      const members = this.#byGroup.get(group) ?? new Set<string>();
      this.#byGroup.set(group, members.add(key));
    });
  }

  override async exists(keys: string[]): Promise<boolean[]> {
    return keys.map((key) => this.#records.has(key));
  }

  override async listKeys({
    before,
    groupIds,
  }: {
    before?: number;
    groupIds?: (string | null)[];
  } = {}): Promise<string[]> {
    const keys =
      groupIds === undefined
        ? this.#records.keys()
        : groupIds.flatMap((id) => [...(this.#byGroup.get(id ?? '') ?? [])]);
    return [...keys].filter((key) => {
      const record = this.#records.get(key);
      return record !== undefined && (before === undefined || record.at < before);
    });
  }

  override async deleteKeys(keys: string[]): Promise<void> {
    for (const key of keys) {
      const { group = null } = this.#records.get(key) ?? {};
      this.#records.delete(key);
      if (group !== null) this.#byGroup.get(group)?.delete(key);
    }
  }
}
