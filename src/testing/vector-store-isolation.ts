import type { VectorStore } from '../core/ports/vector-store.js';
import { isAiProviderError } from '../errors.js';
import { type FastCheckApi, hostileAttacks } from './hostile-attacks.js';
import {
  type Attack,
  type AttackedAdmin,
  type AttackedStore,
  harmlessMethods,
  isolationCases,
  methodsOf,
  operatorCases,
} from './isolation-cases.js';
import type { TestApi } from './test-api.js';

export interface IsolationFixture {
  readonly store: VectorStore;
  /**
   * The operator's methods, if the store has an object for them, as `QdrantAdmin` is: they too must keep tenants apart.
   */
  readonly admin?: object | undefined;
  /**
   * Makes the collection of a tenant's table for vectors of 3 dimensions, in whichever way is to be tested: with sparse
   * vectors if the store has `searchHybrid`, and, if it has `countValues`, with an index of the keywords `secret` and
   * `tags`. Called again for a table that exists.
   */
  createTable(tenantId: number, tableName: string): Promise<void>;
  /** Removes the collections of the tenants that the suite used. */
  close(tenantIds: readonly number[]): Promise<void>;
}

export interface VectorStoreIsolationOptions {
  readonly name: string;
  /** fast-check's default export. */
  readonly fastCheck: FastCheckApi;
  /** How many attacks. @default 1000 */
  readonly attackCount?: number;
  open(): Promise<IsolationFixture>;
}

/**
 * Why an attack may fail: it was refused. `isolation_violated` is not one: it would say that only the second lock held.
 */
const refusals: readonly unknown[] = [
  'invalid_input',
  'collection_not_found',
  'dimension_mismatch',
  'unsupported_operation',
  'vector_store_failed',
];

/**
 * Proves that no method of a vector store reads, counts, changes or deletes another tenant's points: each method once
 * as a plain caller would, and thousands of times with hostile filters, metadata, names and ids. A store with a method
 * that the suite does not know fails it.
 *
 * @example
 * import fc from 'fast-check';
 * const testApi = { afterAll, beforeAll, describe, expect, it };
 * vectorStoreIsolation(testApi, { name: 'mine', fastCheck: fc, open: openMyStore });
 */
export function vectorStoreIsolation(testApi: TestApi, options: VectorStoreIsolationOptions): void {
  const { describe, it, expect, beforeAll, afterAll } = testApi;
  const { fastCheck: fc } = options;

  describe(`VectorStore isolation: ${options.name}`, () => {
    let fixture: IsolationFixture;
    let world: World;

    beforeAll(async () => {
      fixture = await options.open();
      world = await World.create(fixture);
    });
    afterAll(() => fixture?.close(world?.tenantIds ?? []));

    it('has a case for every method', async () => {
      const known = [...Object.keys(isolationCases), ...Object.keys(operatorCases), ...harmlessMethods];
      expect(methodsOf(fixture.store).filter((method) => !known.includes(method))).toEqual([]);
      expect(methodsOf(fixture.admin ?? {}).filter((method) => !known.includes(method))).toEqual([]);
      const ofRebuild = await world.rebuildMethods();
      expect(ofRebuild.filter((method) => !known.includes(method))).toEqual([]);
    });

    for (const method of [...Object.keys(isolationCases), ...Object.keys(operatorCases)]) {
      it(`${method}, if the store has it, touches only the caller's points`, async () => {
        if (!world.has(method.split('(')[0]!)) return;
        const tenantId = world.tenantIds[0]!;
        const attack = world.plainAttack(tenantId);
        const outcome = await outcomeOf(async () => {
          world.checkResult(attack, await world.run(method, attack), expect);
        });
        expect(outcome === 'unsupported_operation' ? 'done' : outcome).toBe('done');
        await world.checkOthers(tenantId, expect);
        await world.restore(tenantId);
      });
    }

    it('answers a tenant the same, scores, order, counts and errors included, whatever strangers store', async () => {
      const tenantId = world.tenantIds[0]!;
      const before = await world.viewOf(tenantId);
      for (let round = 0; round < 3; round++) {
        await world.strangersStore(round);
        expect(await world.viewOf(tenantId)).toEqual(before);
      }
      await world.strangersRemove();
      expect(await world.viewOf(tenantId)).toEqual(before);
    });

    it('holds under hostile filters, metadata, names and ids', async () => {
      const cases = { ...isolationCases, ...operatorCases };
      const attacked = Object.keys(cases).filter((name) => world.has(name) && !cases[name]!.isSlow);
      const property = fc.asyncProperty(
        fc.constantFrom(...attacked),
        hostileAttacks(fc, world),
        async (method: string, attack: Attack) => {
          const outcome = await outcomeOf(async () => {
            world.checkResult(attack, await world.run(method, attack), expect);
          });
          if (outcome !== 'done' && !refusals.includes(outcome)) throw outcome;
          if (!cases[method]!.changes) return;
          await world.checkOthers(attack.tenantId, expect);
          await world.undo(attack);
        },
      );
      await fc.assert(property, { numRuns: options.attackCount ?? 1000 });
    });
  });
}

/** Tenants with one table and equal record ids, each record with a secret of its tenant. */
class World {
  readonly store: AttackedStore;
  readonly admin: AttackedAdmin | undefined;
  readonly tenantIds: readonly number[];
  readonly tableName: string;
  readonly recordIds: readonly (string | number)[] = [1, '1', 2, 'a', 'x'.repeat(50)];
  pointIds: readonly string[] = [];
  readonly #fixture: IsolationFixture;

  private constructor(fixture: IsolationFixture) {
    this.#fixture = fixture;
    this.store = fixture.store as AttackedStore;
    this.admin = fixture.admin as AttackedAdmin | undefined;
    const first = 1_000_000 + Math.floor(Math.random() * 1_000_000_000);
    // One id is the beginning of another, as 1 is of 12.
    this.tenantIds = [first, first + 1, first * 10, first * 10 + 2];
    this.tableName = `docs_${first}`;
  }

  static async create(fixture: IsolationFixture): Promise<World> {
    const world = new World(fixture);
    const pointIds: string[] = [];
    for (const tenantId of world.tenantIds) pointIds.push(...(await world.restore(tenantId)));
    world.pointIds = pointIds;
    return world;
  }

  has(method: string): boolean {
    const isOperators = Object.hasOwn(operatorCases, method);
    return methodsOf((isOperators ? this.admin : this.store) ?? {}).includes(method);
  }

  run(method: string, attack: Attack): Promise<unknown> {
    const operatorCase = operatorCases[method];
    if (operatorCase !== undefined) return operatorCase.run(this.admin!, attack, this.store);
    return isolationCases[method]!.run(this.store, attack);
  }

  /** All that a tenant can learn of a table: the answers of every reading method, and the words of its errors. */
  async viewOf(tenantId: number): Promise<Record<string, unknown>> {
    const { tableName } = this;
    const view: Record<string, unknown> = {};
    const reading = Object.keys(isolationCases).filter(
      (name) => isolationCases[name]!.changes !== true && this.has(name),
    );
    const attacks = [
      { ...this.plainAttack(tenantId), filter: {} },
      this.plainAttack(tenantId),
      { ...this.plainAttack(tenantId), recordIds: [], field: 'number' },
    ];
    for (const method of reading) {
      view[method] = await Promise.all(
        attacks.map(async (attack) => settled(this.run(method, attack).then((result) => tellingOf(method, result)))),
      );
    }
    if (this.has('searchHybrid')) {
      // Each term alone and against the others, so that a change of one term's weight changes the order too.
      const queries = [[1], [2], [3], [1, 2], [2, 3], [1, 2, 3]].map((indices) => ({
        indices,
        values: indices.map((_, i) => 1 + i / 100),
      }));
      view.hybrid = await Promise.all(
        ['rrf', 'dbsf'].flatMap((fusion) =>
          queries.map((query) =>
            settled(this.store.searchHybrid!(tenantId, tableName, [1, 0, 1], query, { limit: 100, fusion })),
          ),
        ),
      );
    }
    return view;
  }

  /**
   * Others store records with the same ids, terms and values as the tenant's, and many more of one term than of
   * another.
   */
  async strangersStore(round: number): Promise<void> {
    const isHybrid = 'searchHybrid' in this.store;
    for (const [i, stranger] of this.tenantIds.slice(1).entries()) {
      const records = Array.from({ length: 20 + 30 * round }, (_, j) => ({
        recordId: j < this.recordIds.length ? this.recordIds[j]! : `stranger ${round} ${j}`,
        vector: [1, j % 7, 1],
        metadata: { secret: secretOf(stranger), tags: ['all', secretOf(stranger)], number: j < 5 ? j : 100 + j },
        ...(isHybrid
          ? {
              sparseVector: {
                indices: j % 3 === 0 ? [1] : [2 + ((i + round) % 2), 9],
                values: [1, 1].slice(j % 3 === 0 ? 1 : 0),
              },
            }
          : {}),
      }));
      await this.store.upsertVectorsBatch(stranger, this.tableName, records);
    }
  }

  async strangersRemove(): Promise<void> {
    for (const stranger of this.tenantIds.slice(1)) {
      const ids = [0, 1, 2].flatMap((round) => Array.from({ length: 80 }, (_, j) => `stranger ${round} ${j}`));
      await this.store.deleteRecords(stranger, this.tableName, ids);
      await this.restore(stranger);
    }
  }

  /** Makes a tenant's records what they were. */
  async restore(tenantId: number): Promise<string[]> {
    await this.#fixture.createTable(tenantId, this.tableName);
    // Terms of different rarity, if the store has a use for sparse vectors.
    const sparseOf = (i: number) =>
      'searchHybrid' in this.store
        ? { sparseVector: { indices: i % 2 ? [1, 2] : [2, 3], values: [1, 0.5 + i / 10] } }
        : {};
    const records = this.recordIds.map((recordId, i) => ({
      recordId,
      vector: [1, i, 1],
      metadata: { secret: secretOf(tenantId), tags: ['all', secretOf(tenantId)], number: i },
      ...sparseOf(i),
    }));
    return this.store.upsertVectorsBatch(tenantId, this.tableName, records);
  }

  /** The methods of what `rebuildCollection` returns, if it can be had for this kind of table. */
  async rebuildMethods(): Promise<string[]> {
    if (!this.has('rebuildCollection')) return [];
    try {
      const rebuild = await this.admin!.rebuildCollection!(this.tenantIds[0], this.tableName);
      await rebuild.abort();
      const methods = methodsOf(rebuild).filter((method) => method !== 'constructor');
      return methods.map((method) => `rebuildCollection().${method}`);
    } catch (error) {
      if (isAiProviderError(error) && error.code === 'unsupported_operation') return [];
      throw error;
    }
  }

  /** Takes away what an attack added to the attacker's own records. */
  async undo({ tenantId, recordIds }: Attack): Promise<void> {
    if (!this.tenantIds.includes(tenantId)) return;
    await this.restore(tenantId);
    for (const recordId of recordIds) {
      if (this.recordIds.some((own) => Object.is(own, recordId))) continue;
      await outcomeOf(() => this.store.deleteRecords(tenantId, this.tableName, [recordId]));
    }
    await this.restore(tenantId);
  }

  /** What a caller without bad intent would ask: for everything. */
  plainAttack(tenantId: number): Attack {
    const { tableName, recordIds } = this;
    return {
      tenantId,
      tableName,
      filter: { must: [{ key: 'tags', match: { value: 'all' } }] },
      metadata: {},
      recordIds,
      field: 'secret',
    };
  }

  /** What came back holds nothing of another tenant, and counts no more than the caller's own. */
  checkResult({ tenantId }: Attack, result: unknown, expect: TestApi['expect']): void {
    const text = JSON.stringify(result) ?? '';
    const leaked = this.tenantIds.filter((other) => other !== tenantId && text.includes(secretOf(other)));
    expect({ leaked }).toEqual({ leaked: [] });
    expect({ countsTooMany: countsIn(result).some((count) => count > this.recordIds.length) }).toEqual({
      countsTooMany: false,
    });
  }

  /** Every other tenant's records are as they were. */
  async checkOthers(tenantId: number, expect: TestApi['expect']): Promise<void> {
    for (const other of this.tenantIds) {
      if (other === tenantId) continue;
      const hits = await this.store.searchSimilar(other, this.tableName, [1, 1, 1], {
        limit: 1000,
        scoreThreshold: -1,
      });
      const found = hits.map(({ recordId, metadata }) => [recordId, metadata.secret, metadata.number]);
      const expected = this.recordIds.map((recordId, i) => [recordId, secretOf(other), i]);
      expect(found.map((hit) => JSON.stringify(hit)).toSorted()).toEqual(
        expected.map((hit) => JSON.stringify(hit)).toSorted(),
      );
    }
  }
}

function secretOf(tenantId: number): string {
  return `secret of ${tenantId};`;
}

/** The counts that a method may return: of records, in a description, or of values. */
function countsIn(result: unknown): number[] {
  if (typeof result === 'number') return [result];
  if (Array.isArray(result)) return result.flatMap((entry) => (typeof entry === 'object' ? countsIn(entry) : []));
  const { count, pointCount } = (result ?? {}) as { count?: unknown; pointCount?: unknown };
  return [count, pointCount].filter((value) => typeof value === 'number');
}

/** A result, or the words of its error. */
async function settled(call: Promise<unknown>): Promise<unknown> {
  return call.catch((error: unknown) => (isAiProviderError(error) ? [error.code, error.message] : String(error)));
}

/** A result without what may change by itself: the state of a server's optimiser, and the order of what is equal. */
function tellingOf(method: string, result: unknown): unknown {
  if (method === 'describeCollection') return { ...(result as object), status: undefined };
  if (method === 'listCollections') return (result as object[]).map((table) => ({ ...table, status: undefined }));
  const isUnordered = ['getRecords', 'listRecords', 'listStored', 'readStored', 'countValues', 'searchGroups'].includes(
    method,
  );
  return isUnordered ? (result as unknown[]).map((entry) => JSON.stringify(entry)).toSorted() : result;
}

async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return 'done';
  } catch (error) {
    return isAiProviderError(error) ? error.code : error;
  }
}
