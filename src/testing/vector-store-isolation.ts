import type { VectorStore } from '../core/ports/vector-store.js';
import { isAiProviderError } from '../errors.js';
import { type FastCheckApi, hostileAttacks } from './hostile-attacks.js';
import { type Attack, type AttackedStore, harmlessMethods, isolationCases, methodsOf } from './isolation-cases.js';
import type { TestApi } from './test-api.js';

export interface IsolationFixture {
  readonly store: VectorStore;
  /**
   * Makes the collection of a tenant's table for vectors of 3 dimensions, in whichever way is to be tested; where the store has `searchHybrid` with
   * sparse vectors, where it has `countValues` with an index of the keywords `secret` and `tags`. Called again for a table that exists.
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

/** Why an attack may fail: it was refused. `isolation_violated` is none: it would say that only the second lock held. */
const refusals: readonly unknown[] = [
  'invalid_input',
  'collection_not_found',
  'dimension_mismatch',
  'unsupported_operation',
  'vector_store_failed',
];

/**
 * Proves that no method of a vector store reads, counts, changes or deletes another tenant's points: each method once as a plain caller would,
 * and thousands of times with hostile filters, metadata, names and ids. A store with a method that the suite does not know fails it.
 *
 * @example
 * import fc from 'fast-check';
 * vectorStoreIsolation({ afterAll, beforeAll, describe, expect, it }, { name: 'mine', fastCheck: fc, open: openMyStore });
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
      const known = [...Object.keys(isolationCases), ...harmlessMethods];
      expect(methodsOf(fixture.store).filter((method) => !known.includes(method))).toEqual([]);
      const ofRebuild = await world.rebuildMethods();
      expect(ofRebuild.filter((method) => !known.includes(method))).toEqual([]);
    });

    for (const [method, isolationCase] of Object.entries(isolationCases)) {
      it(`${method}, where the store has it, touches only the caller's points`, async () => {
        if (!methodsOf(fixture.store).includes(method.split('(')[0]!)) return;
        const tenantId = world.tenantIds[0]!;
        const attack = world.plainAttack(tenantId);
        const outcome = await outcomeOf(async () => {
          world.checkResult(attack, await isolationCase.run(world.store, attack), expect);
        });
        expect(outcome === 'unsupported_operation' ? 'done' : outcome).toBe('done');
        await world.checkOthers(tenantId, expect);
        await world.restore(tenantId);
      });
    }

    it('holds under hostile filters, metadata, names and ids', async () => {
      const attacked = methodsOf(fixture.store).filter(
        (name) => Object.hasOwn(isolationCases, name) && !isolationCases[name]!.isSlow,
      );
      const property = fc.asyncProperty(
        fc.constantFrom(...attacked),
        hostileAttacks(fc, world),
        async (method: string, attack: Attack) => {
          const isolationCase = isolationCases[method]!;
          const outcome = await outcomeOf(async () => {
            world.checkResult(attack, await isolationCase.run(world.store, attack), expect);
          });
          if (outcome !== 'done' && !refusals.includes(outcome)) throw outcome;
          if (!isolationCase.changes) return;
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
  readonly tenantIds: readonly number[];
  readonly tableName: string;
  readonly recordIds: readonly (string | number)[] = [1, '1', 2, 'a', 'x'.repeat(50)];
  pointIds: readonly string[] = [];
  readonly #fixture: IsolationFixture;

  private constructor(fixture: IsolationFixture) {
    this.#fixture = fixture;
    this.store = fixture.store as AttackedStore;
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

  /** Makes a tenant's records what they were. */
  async restore(tenantId: number): Promise<string[]> {
    await this.#fixture.createTable(tenantId, this.tableName);
    // A collection with sparse vectors where the store has a use for them.
    const sparse = 'searchHybrid' in this.store ? { sparseVector: { indices: [1, 2], values: [1, 0.5] } } : {};
    const records = this.recordIds.map((recordId, i) => ({
      recordId,
      vector: [1, i, 1],
      metadata: { secret: secretOf(tenantId), tags: ['all', secretOf(tenantId)], number: i },
      ...sparse,
    }));
    return this.store.upsertVectorsBatch(tenantId, this.tableName, records);
  }

  /** The methods of what `rebuildCollection` returns, where the store has it for this kind of table. */
  async rebuildMethods(): Promise<string[]> {
    if (!methodsOf(this.store).includes('rebuildCollection')) return [];
    try {
      const rebuild = await this.store.rebuildCollection!(this.tenantIds[0], this.tableName);
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

async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    await call();
    return 'done';
  } catch (error) {
    return isAiProviderError(error) ? error.code : error;
  }
}
