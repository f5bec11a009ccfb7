import { type CollectionConfig, denseVectorsOf, sparseVectorsOf } from './collection-config.js';
import { type Filter, type FilterSubject, matchesFilter } from './filter/filter.js';
import { PayloadColumns } from './filter/payload-columns.js';
import type { PayloadIndex } from './filter/payload-index.js';
import { formatPath, type PathStep, parsePath } from './filter/payload-path.js';
import { ValueCounts } from './filter/value-counts.js';
import type { JsonObject } from './json.js';
import type { PointBatch } from './point-batch.js';
import type { PointId } from './point-id.js';
import { PointTable, type TableScan } from './point-table.js';
import { IdOrder } from './query/id-order.js';
import type { ScanTurns } from './scan-schedule.js';
import { SparseVectors } from './vectors/sparse-vectors.js';
import { VectorMatrix } from './vectors/vector-matrix.js';

/**
 * A change in the form in which it is logged: applying it again, or to a state that already has it, changes nothing
 * more.
 */
export type Mutation =
  | { readonly kind: 'configure'; readonly config: CollectionConfig }
  | ({ readonly kind: 'upsert' } & PointBatch)
  | { readonly kind: 'delete'; readonly ids: readonly PointId[] };

/** One reading of a collection. */
export interface Scan extends TableScan {
  readonly collection: Collection;
  /** Room for row numbers, until the scan ends; it may hold anything. */
  takeRows(length: number): Uint32Array;
}

/** Scans use the room of those before them: new memory costs as much as what is done with it. */
const mostSpareBuffers = 4;

/**
 * The points of a collection in memory: rows of ids, payloads and vectors.
 *
 * Scans give way to the event loop while they run, and changes are made meanwhile, each at once: rows are never
 * overwritten, so that a scan goes on seeing the points of its beginning. A retired row is freed when every scan that
 * began before has ended.
 */
export class Collection {
  #config: CollectionConfig;
  #indexes: ReadonlyMap<string, PayloadIndex>;
  readonly points = new PointTable();
  readonly dense: ReadonlyMap<string, VectorMatrix>;
  readonly sparse: ReadonlyMap<string, SparseVectors>;
  readonly columns = new PayloadColumns();
  readonly valueCounts = new ValueCounts();
  readonly idOrder = new IdOrder();
  /** The numbers of the running scans, the oldest first. */
  readonly #scans = new Set<number>();
  #lastScan = 0;
  #spareBuffers: Uint32Array[] = [];
  /** Rows to be freed once no scan of this or a lower number runs. */
  readonly #retired: { readonly row: number; readonly lastScan: number }[] = [];

  constructor(config: CollectionConfig) {
    this.#config = config;
    this.#indexes = indexesByPath(config);
    this.dense = new Map(
      Array.from(denseVectorsOf(config), ([name, { size, distance }]) => [name, new VectorMatrix(size, distance)]),
    );
    this.sparse = new Map(Array.from(sparseVectorsOf(config), ([name, { isIdf }]) => [name, new SparseVectors(isIdf)]));
  }

  get config(): CollectionConfig {
    return this.#config;
  }

  /** How many rows have a point, retired ones included. */
  get rowsInUse(): number {
    return this.points.size + this.#retired.length;
  }

  /** Runs a scan on the points that there are now. */
  async scan<Result>(turns: ScanTurns, run: (scan: Scan) => Promise<Result>): Promise<Result> {
    const number = ++this.#lastScan;
    this.#scans.add(number);
    const taken: Uint32Array[] = [];
    const takeRows = (length: number): Uint32Array => {
      const spare = this.#spareBuffers.pop();
      const buffer = spare && spare.length >= length ? spare : new Uint32Array(Math.ceil(length * 1.1));
      taken.push(buffer);
      return buffer.subarray(0, length);
    };
    try {
      return await run({ collection: this, points: this.points, live: this.points.liveRows(), turns, takeRows });
    } finally {
      this.#scans.delete(number);
      this.#spareBuffers = [...this.#spareBuffers, ...taken].slice(-mostSpareBuffers);
      this.#freeRetired();
    }
  }

  apply(mutation: Mutation): void {
    switch (mutation.kind) {
      case 'configure':
        this.#config = mutation.config;
        this.#indexes = indexesByPath(mutation.config);
        break;
      case 'upsert':
        this.#upsert(mutation);
        break;
      case 'delete':
        for (const id of mutation.ids) this.#retire(id);
    }
  }

  #upsert(batch: PointBatch): void {
    // If the memory does not suffice, nothing has changed yet.
    for (const matrix of this.dense.values()) matrix.reserve(this.points.rowCount + batch.ids.length);
    const rows = batch.ids.map((id, at) => this.#setPoint(id, batch.payloads[at] as JsonObject));
    for (const [name, { positions, values }] of Object.entries(batch.dense)) {
      const matrix = this.dense.get(name);
      positions.forEach((position, at) => {
        matrix?.set(rows[position] as number, values.subarray(at * matrix.dimension, (at + 1) * matrix.dimension));
      });
    }
    for (const [name, vectors] of Object.entries(batch.sparse)) {
      vectors.forEach((vector, position) => {
        if (vector) this.sparse.get(name)?.set(rows[position] as number, vector);
      });
    }
  }

  #setPoint(id: PointId, payload: JsonObject): number {
    if (this.points.rowOf(id) === undefined) this.idOrder.add(id);
    else this.#retire(id);
    const row = this.points.add(id, payload);
    this.columns.set(row, payload);
    this.valueCounts.add(payload);
    return row;
  }

  #retire(id: PointId): void {
    const row = this.points.retire(id);
    if (row === undefined) return;
    this.valueCounts.remove(this.points.payloadOf(row));
    for (const vectors of this.sparse.values()) vectors.retire(row);
    this.#retired.push({ row, lastScan: this.#lastScan });
    this.#freeRetired();
  }

  #freeRetired(): void {
    const [oldest = Number.POSITIVE_INFINITY] = this.#scans;
    let freed = 0;
    for (const { row, lastScan } of this.#retired) {
      if (lastScan >= oldest) break;
      this.#free(row);
      freed++;
    }
    this.#retired.splice(0, freed);
  }

  #free(row: number): void {
    this.columns.remove(row);
    for (const matrix of this.dense.values()) matrix.remove(row);
    for (const vectors of this.sparse.values()) vectors.remove(row);
    this.points.free(row);
  }

  hasVector(row: number, name: string): boolean {
    return this.dense.get(name)?.has(row) ?? this.sparse.get(name)?.has(row) ?? false;
  }

  /** The index of a field, however its key was written. */
  indexOf(path: readonly PathStep[]): PayloadIndex | undefined {
    return this.#indexes.get(formatPath(path));
  }

  /** The point in a row, as a filter sees it. */
  subjectAt(row: number): FilterSubject {
    return {
      id: this.points.idOf(row),
      payload: this.points.payloadOf(row),
      hasVector: (name) => this.hasVector(row, name),
    };
  }

  /** Whether a row has a point now, which matches. */
  matches(row: number, filter: Filter | undefined): boolean {
    return this.points.isLive(row) && this.matchesRow(row, filter);
  }

  /** Whether the point of a row, perhaps a retired one, matches. */
  matchesRow(row: number, filter: Filter | undefined): boolean {
    return !filter || matchesFilter(filter, this.subjectAt(row));
  }
}

function indexesByPath({ payloadIndexes }: CollectionConfig): Map<string, PayloadIndex> {
  return new Map(Object.entries(payloadIndexes).map(([key, index]) => [formatPath(parsePath(key)), index]));
}
