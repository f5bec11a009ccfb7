import { type CollectionConfig, denseVectorsOf, sparseVectorsOf } from './collection-config.js';
import { type Filter, type FilterSubject, matchesFilter, type PayloadIndex } from './filter/filter.js';
import { PayloadColumns } from './filter/payload-columns.js';
import { ValueCounts } from './filter/value-counts.js';
import type { JsonObject } from './json.js';
import type { PointBatch } from './point-batch.js';
import type { PointId } from './point-id.js';
import { PointTable } from './point-table.js';
import { ScanGate } from './scan-gate.js';
import { SparseVectors } from './vectors/sparse-vectors.js';
import { VectorMatrix } from './vectors/vector-matrix.js';

/** A change in the form in which it is logged: applying it again, or to a state that already has it, changes nothing more. */
export type Mutation =
  | { readonly kind: 'configure'; readonly config: CollectionConfig }
  | ({ readonly kind: 'upsert' } & PointBatch)
  | { readonly kind: 'delete'; readonly ids: readonly PointId[] };

/** The points of a collection in memory: rows of ids, payloads and vectors. */
export class Collection {
  config: CollectionConfig;
  readonly points = new PointTable();
  readonly dense: ReadonlyMap<string, VectorMatrix>;
  readonly sparse: ReadonlyMap<string, SparseVectors>;
  readonly columns = new PayloadColumns();
  readonly valueCounts = new ValueCounts();
  /** Scans and changes go through it. */
  readonly gate = new ScanGate();

  constructor(config: CollectionConfig) {
    this.config = config;
    this.dense = new Map(
      Array.from(denseVectorsOf(config), ([name, { size, distance }]) => [name, new VectorMatrix(size, distance)]),
    );
    this.sparse = new Map(Array.from(sparseVectorsOf(config), ([name, { isIdf }]) => [name, new SparseVectors(isIdf)]));
  }

  apply(mutation: Mutation): void {
    switch (mutation.kind) {
      case 'configure':
        this.config = mutation.config;
        break;
      case 'upsert':
        this.#upsert(mutation);
        break;
      case 'delete':
        for (const id of mutation.ids) this.#delete(id);
    }
  }

  #upsert(batch: PointBatch): void {
    // Where the memory does not suffice, nothing has changed yet.
    for (const matrix of this.dense.values()) matrix.reserve(this.points.rowCount + batch.ids.length);
    const rows = batch.ids.map((id, at) => {
      const row = this.#setPoint(id, batch.payloads[at] as JsonObject);
      this.#removeVectors(row);
      return row;
    });
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
    const replaced = this.points.rowOf(id);
    if (replaced !== undefined) this.valueCounts.remove(this.points.payloadOf(replaced));
    const row = this.points.set(id, payload);
    this.columns.set(row, payload);
    this.valueCounts.add(payload);
    return row;
  }

  #delete(id: PointId): void {
    const row = this.points.rowOf(id);
    if (row === undefined) return;
    this.valueCounts.remove(this.points.payloadOf(row));
    this.points.delete(id);
    this.columns.remove(row);
    this.#removeVectors(row);
  }

  #removeVectors(row: number): void {
    for (const matrix of this.dense.values()) matrix.remove(row);
    for (const vectors of this.sparse.values()) vectors.remove(row);
  }

  hasVector(row: number, name: string): boolean {
    return this.dense.get(name)?.has(row) ?? this.sparse.get(name)?.has(row) ?? false;
  }

  indexOf(key: string): PayloadIndex | undefined {
    const { payloadIndexes } = this.config;
    return Object.hasOwn(payloadIndexes, key) ? payloadIndexes[key] : undefined;
  }

  /** The point in a row, as a filter sees it. */
  subjectAt(row: number): FilterSubject {
    return {
      id: this.points.idOf(row),
      payload: this.points.payloadOf(row),
      hasVector: (name) => this.hasVector(row, name),
    };
  }

  matches(row: number, filter: Filter | undefined): boolean {
    return this.points.idOf(row) !== undefined && (!filter || matchesFilter(filter, this.subjectAt(row)));
  }
}
