import type { VectorStore } from '../core/ports/vector-store.js';
import { isAiProviderError } from '../errors.js';

/** What an attacker chooses; each method takes what it has a use for. */
export interface Attack {
  readonly tenantId: number;
  readonly tableName: string;
  readonly filter: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, never>>;
  readonly recordIds: readonly (string | number)[];
  readonly field: string;
}

/** The methods of a store under attack: those of the port, and whatever else it has. */
// biome-ignore lint/suspicious/noExplicitAny: any store's methods
export type AttackedStore = VectorStore & Record<string, (...values: any[]) => any>;

/** The object with an operator's methods, if the store has one. */
// biome-ignore lint/suspicious/noExplicitAny: any object's methods
export type AttackedAdmin = Record<string, (...values: any[]) => any>;

export interface IsolationCase extends CaseTraits {
  /** Calls the method as one tenant, with the attacker's arguments, and returns all that came back. */
  run(store: AttackedStore, attack: Attack): Promise<unknown>;
}

export interface OperatorCase extends CaseTraits {
  /** Calls the method for one tenant, with the attacker's arguments, and returns all that came back. */
  run(admin: AttackedAdmin, attack: Attack, store: AttackedStore): Promise<unknown>;
}

interface CaseTraits {
  /** Whether it can change what is stored. */
  readonly changes?: boolean;
  /** Too slow to be run thousands of times. */
  readonly isSlow?: boolean;
}

/** As near to everything as can be asked for. */
const everything = { limit: 1000, scoreThreshold: -1 };
const vector = [1, 1, 1];

/**
 * A case for each method that touches points or collections. A store with a method that is missing here does not pass.
 */
export const isolationCases: Readonly<Record<string, IsolationCase>> = {
  createCollection: {
    changes: true,
    run: (store, { tenantId, tableName }) => store.createCollection(tenantId, tableName, { vectorSize: vector.length }),
  },
  describeCollection: {
    run: async (store, { tenantId, tableName }) => store.describeCollection(tenantId, tableName),
  },
  listCollections: {
    run: (store, { tenantId }) => store.listCollections!(tenantId),
  },
  dropCollection: {
    changes: true,
    run: (store, { tenantId, tableName }) => store.dropCollection!(tenantId, tableName),
  },
  upsertVectorsBatch: {
    changes: true,
    run: (store, { tenantId, tableName, recordIds, metadata }) =>
      store.upsertVectorsBatch(
        tenantId,
        tableName,
        recordIds.map((recordId) => ({ recordId, vector, metadata })),
      ),
  },
  searchSimilar: {
    run: (store, { tenantId, tableName, filter }) =>
      store.searchSimilar(tenantId, tableName, vector, { ...everything, filter }),
  },
  searchBatch: {
    run: (store, { tenantId, tableName, filter }) =>
      store.searchBatch!(tenantId, tableName, [
        { vector, ...everything },
        { vector, ...everything, filter },
      ]),
  },
  searchGroups: {
    run: (store, { tenantId, tableName, filter, field }) =>
      store.searchGroups!(tenantId, tableName, vector, { ...everything, filter, groupBy: field, groupSize: 100 }),
  },
  searchHybrid: {
    run: (store, { tenantId, tableName, filter }) =>
      store.searchHybrid!(tenantId, tableName, vector, { indices: [1], values: [1] }, { limit: 1000, filter }),
  },
  recommend: {
    run: (store, { tenantId, tableName, recordIds, filter }) =>
      store.recommend!(tenantId, tableName, recordIds, { ...everything, filter }),
  },
  getRecords: {
    run: (store, { tenantId, tableName, recordIds }) =>
      store.getRecords!(tenantId, tableName, recordIds, { withVectors: true }),
  },
  readStored: {
    run: async (store, { tenantId, tableName, recordIds }) =>
      store.readStored!(tenantId, tableName, recordIds, { withVectors: true }),
  },
  listStored: {
    run: async (store, { tenantId, tableName }) => {
      const contents: unknown[] = [];
      for await (const content of store.listStored!(tenantId, tableName)) contents.push(content);
      return contents;
    },
  },
  listRecords: {
    run: async (store, { tenantId, tableName, filter }) => {
      const records: unknown[] = [];
      for await (const record of store.listRecords!(tenantId, tableName, { filter })) records.push(record);
      return records;
    },
  },
  countRecords: {
    run: (store, { tenantId, tableName, filter }) => store.countRecords!(tenantId, tableName, { filter }),
  },
  countValues: {
    run: (store, { tenantId, tableName, filter, field }) =>
      store.countValues!(tenantId, tableName, field, { filter, limit: 1000 }),
  },
  deleteRecords: {
    changes: true,
    run: (store, { tenantId, tableName, recordIds }) => store.deleteRecords(tenantId, tableName, recordIds),
  },
  deleteByFilter: {
    changes: true,
    run: (store, { tenantId, tableName, filter }) => store.deleteByFilter!(tenantId, tableName, filter),
  },
};

/**
 * A case for each method of the fixture's `admin`, which works for one tenant at a time; the operator's view over all
 * of them is its own.
 */
export const operatorCases: Readonly<Record<string, OperatorCase>> = {
  rebuildCollection: {
    changes: true,
    run: async (admin, { tenantId, tableName, recordIds, metadata }) => {
      const rebuild = await admin.rebuildCollection!(tenantId, tableName, { vectorSize: vector.length });
      try {
        const records = recordIds.map((recordId) => ({ recordId, vector, metadata }));
        return await rebuild.upsertVectorsBatch(tenantId, records);
      } finally {
        await rebuild.abort();
      }
    },
  },
  // The methods of what a rebuild returns, beside those that the case above calls.
  'rebuildCollection().upsertVectorsBatch': {
    changes: true,
    isSlow: true,
    run: async (admin, { tenantId, tableName, recordIds }) => {
      const rebuild = await admin.rebuildCollection!(tenantId, tableName);
      const records = recordIds.map((recordId) => ({ recordId, vector }));
      const outcome = await codeOf(rebuild.upsertVectorsBatch(tenantId + 1, records));
      await rebuild.abort();
      if (outcome !== 'isolation_violated')
        throw new Error(`records of another tenant in a tenant's build: ${outcome}`);
    },
  },
  'rebuildCollection().commit': {
    changes: true,
    isSlow: true,
    run: async (admin, { tenantId, tableName, recordIds }) => {
      const rebuild = await admin.rebuildCollection!(tenantId, tableName);
      await rebuild.upsertVectorsBatch(
        tenantId,
        recordIds.map((recordId) => ({ recordId, vector })),
      );
      return rebuild.commit();
    },
  },
  'rebuildCollection().abort': {
    changes: true,
    isSlow: true,
    run: async (admin, { tenantId, tableName }) => (await admin.rebuildCollection!(tenantId, tableName)).abort(),
  },
  // An operator's call, for all tenants: a build that lacks one of them must not take the place of what serves.
  rebuildSharedCollection: {
    changes: true,
    isSlow: true,
    run: async (admin, { tenantId, tableName, recordIds }) => {
      // If no tenant shares the table there is nothing to build.
      const rebuild = await admin.rebuildSharedCollection!(tableName).catch(() => undefined);
      if (rebuild === undefined) return [];
      const records = recordIds.map((recordId) => ({ recordId, vector }));
      const ids = await rebuild.upsertVectorsBatch(tenantId, records);
      const outcome = await codeOf(rebuild.commit());
      await rebuild.abort();
      if (outcome !== 'vector_store_failed') throw new Error(`a build without the others' points: ${outcome}`);
      return ids;
    },
  },
  bulkLoad: {
    changes: true,
    run: (admin, { tenantId, tableName, recordIds }, store) =>
      admin.bulkLoad!(tenantId, tableName, () => store.deleteRecords(tenantId, tableName, recordIds)),
  },
  cancelMove: {
    changes: true,
    run: (admin, { tenantId, tableName }) => admin.cancelMove!(tenantId, tableName),
  },
  moveTenant: {
    changes: true,
    isSlow: true,
    run: async (admin, { tenantId, tableName }, store) => {
      const { mode } = (await store.describeCollection(tenantId, tableName)) as unknown as { mode: string };
      return admin.moveTenant!(tenantId, tableName, mode === 'shared' ? 'collection' : 'shared');
    },
  },
};

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
    return 'done';
  } catch (error) {
    return isAiProviderError(error) ? error.code : error;
  }
}

/** Methods that touch no point and no collection, and the one that is for an operator's eyes as a whole. */
export const harmlessMethods: readonly string[] = ['constructor', 'close', 'health', 'countByTenant'];

/** The names of an object's methods, those of its classes included. */
export function methodsOf(store: object): string[] {
  const names = new Set<string>();
  for (let owner: object | null = store; owner && owner !== Object.prototype; owner = Object.getPrototypeOf(owner)) {
    for (const name of Object.getOwnPropertyNames(owner)) {
      if (typeof Reflect.get(owner, name, store) === 'function') names.add(name);
    }
  }
  return [...names];
}
