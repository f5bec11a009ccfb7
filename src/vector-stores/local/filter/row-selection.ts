import type { Scan } from '../collection.js';
import type { PointId } from '../point-id.js';
import { type Condition, type Filter, matchesCondition, matchesValues } from './filter.js';
import { beginPoint } from './filter-limits.js';
import type { ColumnTruth } from './payload-column.js';
import { valuesAt } from './payload-path.js';

type RowTest = (row: number) => boolean;

/**
 * A column makes a table as long as its dictionary for each condition; with more conditions the payloads are looked at.
 */
const maxColumnConditions = 64;

/** What a filter demands of every hit, the cheapest first: ids, whole columns, and the rest row by row. */
interface Demands {
  ids: ReadonlySet<PointId> | undefined;
  readonly columns: ColumnTruth[];
  readonly tests: RowTest[];
}

/** The rows of the points that match a filter, in row order. */
export async function selectRows(scan: Scan, filter: Filter | undefined): Promise<Uint32Array> {
  const { turns } = scan;
  const compiler = new FilterCompiler(scan);
  const demands: Demands = { ids: undefined, columns: [], tests: [] };
  if (filter) {
    await scan.collection.columns.prepare(filter, scan);
    await compiler.collectDemands(filter, demands);
    demands.columns.sort((left, right) => left.count - right.count);
  }
  let rows = firstRows(scan, demands);
  if (turns.isOver()) await turns.next();
  for (const column of demands.columns) {
    rows = keepRows(rows, column);
    if (turns.isOver()) await turns.next();
  }
  for (const test of demands.tests) {
    let count = 0;
    for (let index = 0; index < rows.length; index++) {
      if (index % 16 === 15 && turns.isOver()) await turns.next();
      const row = rows[index] as number;
      beginPoint();
      if (test(row)) rows[count++] = row;
    }
    rows = rows.subarray(0, count);
  }
  return rows;
}

/** The rows to begin with: of the ids, of the first column, or all. */
function firstRows({ collection, live, takeRows }: Scan, demands: Demands): Uint32Array {
  if (demands.ids) {
    const rows = Array.from(demands.ids, (id) => collection.points.rowOf(id, live));
    return Uint32Array.from(rows.filter((row) => row !== undefined)).sort();
  }
  const rows = takeRows(live.length);
  const column = demands.columns.shift();
  let count = 0;
  if (column) {
    const { codes, holds } = column;
    const length = Math.min(live.length, codes.length);
    for (let row = 0; row < length; row++) {
      if (holds[codes[row] as number] === 1 && live[row] === 1) rows[count++] = row;
    }
  } else {
    for (let row = 0; row < live.length; row++) if (live[row] === 1) rows[count++] = row;
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

/** Whether the rows of a filter are named by their ids. */
export function namesIds(filter: Filter): boolean {
  return filter.must.some((one) => one.kind === 'ids' || (one.kind === 'filter' && namesIds(one.filter)));
}

class FilterCompiler {
  readonly #scan: Scan;
  #columnConditions = 0;

  constructor(scan: Scan) {
    this.#scan = scan;
  }

  /** Takes a conjunction apart, through filters nested in `must`. */
  async collectDemands(filter: Filter, demands: Demands): Promise<void> {
    for (const condition of filter.must) {
      if (condition.kind === 'filter') await this.collectDemands(condition.filter, demands);
      else if (condition.kind === 'ids') demands.ids = bothIds(demands.ids, condition.ids);
      else {
        const truth = await this.#columnTruth(condition);
        if (truth) demands.columns.push(truth);
        else demands.tests.push(await this.#condition(condition));
      }
    }
    const others: Filter = { ...filter, must: [] };
    if (others.should.length > 0 || others.mustNot.length > 0 || others.minShould) {
      demands.tests.push(await this.#filter(others));
    }
  }

  async #columnTruth(condition: Condition): Promise<ColumnTruth | undefined> {
    if (condition.kind !== 'field' || this.#columnConditions >= maxColumnConditions) return undefined;
    const column = this.#scan.collection.columns.get(condition.key);
    if (!column) return undefined;
    this.#columnConditions++;
    return column.evaluate(condition, this.#scan.turns);
  }

  async #condition(condition: Condition): Promise<RowTest> {
    const { collection } = this.#scan;
    if (condition.kind === 'filter') return this.#filter(condition.filter);
    const truth = await this.#columnTruth(condition);
    if (truth) return (row) => truth.holds[truth.codes[row] as number] === 1;
    if (condition.kind === 'field') {
      return (row) => matchesValues(condition, valuesAt(collection.points.payloadOf(row), condition.path));
    }
    return (row) => matchesCondition(condition, collection.subjectAt(row));
  }

  async #filter(filter: Filter): Promise<RowTest> {
    const compile = async (conditions: readonly Condition[]): Promise<RowTest[]> => {
      const tests: RowTest[] = [];
      for (const condition of conditions) tests.push(await this.#condition(condition));
      return tests;
    };
    const must = await compile(filter.must);
    const should = await compile(filter.should);
    const mustNot = await compile(filter.mustNot);
    const minShould = await compile(filter.minShould?.conditions ?? []);
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
}

function bothIds(left: ReadonlySet<PointId> | undefined, right: ReadonlySet<PointId>): ReadonlySet<PointId> {
  return left ? new Set([...left].filter((id) => right.has(id))) : right;
}
