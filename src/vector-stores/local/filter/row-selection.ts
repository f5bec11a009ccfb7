import { TimeSlice } from '../../../internal/time-slice.js';
import type { Collection } from '../collection.js';
import type { PointId } from '../point-id.js';
import { type Condition, type Filter, matchesCondition } from './filter.js';
import type { ColumnTruth } from './payload-column.js';
import { valuesAt } from './payload-path.js';

type RowTest = (row: number) => boolean;

/** What a filter demands of every hit, the cheapest first: ids, whole columns, and the rest row by row. */
interface Demands {
  ids: ReadonlySet<PointId> | undefined;
  readonly columns: ColumnTruth[];
  readonly tests: RowTest[];
}

/** The rows of the points that match a filter, in row order. Runs inside a scan of the collection's gate. */
export async function selectRows(collection: Collection, filter: Filter | undefined): Promise<Uint32Array> {
  const slice = new TimeSlice();
  const demands: Demands = { ids: undefined, columns: [], tests: [] };
  if (filter) {
    await collection.columns.prepare(filter, collection.points, slice);
    collectDemands(collection, filter, demands);
    demands.columns.sort((left, right) => left.count - right.count);
  }
  let rows = firstRows(collection, demands);
  for (const column of demands.columns) rows = keepRows(rows, column);
  if (slice.isOver()) await slice.next();
  for (const test of demands.tests) {
    let count = 0;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as number;
      if (test(row)) rows[count++] = row;
      if (index % 256 === 255 && slice.isOver()) await slice.next();
    }
    rows = rows.subarray(0, count);
  }
  return rows;
}

/** The rows to begin with: of the ids, of the first column, or all. */
function firstRows(collection: Collection, demands: Demands): Uint32Array {
  const { points } = collection;
  if (demands.ids) {
    const rows = Array.from(demands.ids, (id) => points.rowOf(id)).filter((row) => row !== undefined);
    return Uint32Array.from(rows).sort();
  }
  const rows = new Uint32Array(points.rowCount);
  const column = demands.columns.shift();
  let count = 0;
  if (column) {
    const { codes, holds } = column;
    for (let row = 0; row < rows.length; row++) if (holds[codes[row] as number] === 1) rows[count++] = row;
  } else {
    for (let row = 0; row < rows.length; row++) if (points.idOf(row) !== undefined) rows[count++] = row;
  }
  return rows.subarray(0, count);
}

/** Keeps, in place, the rows for which a column's condition holds. */
function keepRows(rows: Uint32Array, { codes, holds }: ColumnTruth): Uint32Array {
  let count = 0;
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index] as number;
    if (holds[codes[row] as number] === 1) rows[count++] = row;
  }
  return rows.subarray(0, count);
}

/** Takes a conjunction apart, through filters nested in `must`. */
function collectDemands(collection: Collection, filter: Filter, demands: Demands): void {
  for (const condition of filter.must) {
    if (condition.kind === 'filter') collectDemands(collection, condition.filter, demands);
    else if (condition.kind === 'ids') demands.ids = bothIds(demands.ids, condition.ids);
    else {
      const truth = columnTruth(collection, condition);
      if (truth) demands.columns.push(truth);
      else demands.tests.push(compileCondition(collection, condition));
    }
  }
  const others: Filter = { ...filter, must: [] };
  if (others.should.length > 0 || others.mustNot.length > 0 || others.minShould) {
    demands.tests.push(compileFilter(collection, others));
  }
}

function bothIds(left: ReadonlySet<PointId> | undefined, right: ReadonlySet<PointId>): ReadonlySet<PointId> {
  return left ? new Set([...left].filter((id) => right.has(id))) : right;
}

function columnTruth(collection: Collection, condition: Condition): ColumnTruth | undefined {
  return condition.kind === 'field' ? collection.columns.get(condition.key)?.evaluate(condition.check) : undefined;
}

function compileCondition(collection: Collection, condition: Condition): RowTest {
  if (condition.kind === 'filter') return compileFilter(collection, condition.filter);
  const truth = columnTruth(collection, condition);
  if (truth) return (row) => truth.holds[truth.codes[row] as number] === 1;
  if (condition.kind === 'field') {
    const { check, path } = condition;
    return (row) => check(valuesAt(collection.points.payloadOf(row), path));
  }
  return (row) => matchesCondition(condition, collection.subjectAt(row));
}

function compileFilter(collection: Collection, filter: Filter): RowTest {
  const compile = (conditions: readonly Condition[]): RowTest[] =>
    conditions.map((condition) => compileCondition(collection, condition));
  const [must, should, mustNot] = [compile(filter.must), compile(filter.should), compile(filter.mustNot)];
  const minShould = compile(filter.minShould?.conditions ?? []);
  const minCount = filter.minShould?.minCount ?? 0;
  return (row) => {
    const holds = (test: RowTest): boolean => test(row);
    return (
      must.every(holds) &&
      !mustNot.some(holds) &&
      (should.length === 0 || should.some(holds)) &&
      (minCount === 0 || minShould.filter(holds).length >= minCount)
    );
  };
}
