import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { filters, payloads, pointIds } from '../../fixtures/local-engine/arbitraries.js';
import { naiveFilter } from '../../fixtures/local-engine/naive-filter.js';

type Id = number | string;
type Model = Map<Id, { vector: number[]; payload: object }>;

const vectors = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 3, maxLength: 3 });
const newPoints = fc.array(fc.record({ id: pointIds, vector: vectors, payload: payloads }), { maxLength: 8 });

// No cosine of two such vectors comes so near to a threshold that rounding could decide.
const operations = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('upsert' as const),
      points: newPoints,
      mode: fc.constantFrom('upsert', 'upsert', 'insert_only', 'update_only'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), ids: fc.array(pointIds, { maxLength: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('deleteWhere' as const), filter: filters }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('query' as const),
      vector: vectors,
      filter: filters,
      limit: fc.integer({ min: 1, max: 6 }),
      offset: fc.nat(3),
      threshold: fc.constantFrom(-2, -0.05, 0.45),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('scroll' as const),
      filter: filters,
      limit: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'reopen' as const }) },
);
type Operation = typeof operations extends fc.Arbitrary<infer Value> ? Value : never;

const compareIds = (left: Id, right: Id): number =>
  typeof left === typeof right ? (left < right ? -1 : left > right ? 1 : 0) : typeof left === 'number' ? -1 : 1;

/** Cosine similarity in float64, of the vectors as they were given; that of a zero vector is 0. */
function cosine(left: readonly number[], right: readonly number[]): number {
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, at) => sum + value * (b[at] as number), 0);
  const norms = Math.sqrt(dot(left, left) * dot(right, right));
  return norms === 0 ? 0 : dot(left, right) / norms;
}

const matching = (model: Model, filter: object): Id[] =>
  [...model]
    .filter(([id, { payload }]) => naiveFilter(filter, { id, payload }))
    .map(([id]) => id)
    .sort(compareIds);

function applyToModel(model: Model, operation: Operation): void {
  if (operation.kind === 'upsert') {
    // The last of an id counts, and whether it is there is asked of the state before the request.
    const last = new Map(operation.points.map((point) => [point.id, point]));
    const before = new Set(model.keys());
    for (const [id, { vector, payload }] of last) {
      if (operation.mode === 'insert_only' && before.has(id)) continue;
      if (operation.mode === 'update_only' && !before.has(id)) continue;
      model.set(id, { vector, payload });
    }
  } else if (operation.kind === 'delete') for (const id of operation.ids) model.delete(id);
  else if (operation.kind === 'deleteWhere') for (const id of matching(model, operation.filter)) model.delete(id);
}

async function run(client: LocalQdrantClient, model: Model, operation: Operation): Promise<void> {
  switch (operation.kind) {
    case 'upsert':
      await client.upsert('docs', { points: operation.points, update_mode: operation.mode });
      break;
    case 'delete':
      await client.delete('docs', { points: operation.ids });
      break;
    case 'deleteWhere':
      await client.delete('docs', { filter: operation.filter });
      break;
    case 'query':
      await checkQuery(client, model, operation);
      break;
    case 'scroll':
      await checkScroll(client, model, operation);
  }
}

async function checkQuery(
  client: LocalQdrantClient,
  model: Model,
  operation: Operation & { kind: 'query' },
): Promise<void> {
  const { vector, filter, limit, offset, threshold } = operation;
  const { points } = await client.query('docs', {
    query: vector,
    filter,
    limit,
    offset,
    score_threshold: threshold,
    with_payload: true,
  });
  const scored = matching(model, filter)
    .map((id) => ({ id, score: cosine(vector, model.get(id)?.vector ?? []) }))
    .sort((left, right) => right.score - left.score || compareIds(left.id, right.id));
  const expected = scored.filter(({ score }) => score >= threshold).slice(offset, offset + limit);
  expect(points.length).toBe(expected.length);
  points.forEach((point, at) => {
    expect(Math.abs((point.score as number) - (expected[at]?.score as number))).toBeLessThan(1e-6);
    expect(point.payload).toEqual(model.get(point.id)?.payload);
  });
  // Equal scores come in the order of their ids.
  const rounded = points.map(({ id, score }) => ({ id, score: Math.fround(score as number) }));
  expect(rounded).toEqual(
    [...rounded].sort((left, right) => right.score - left.score || compareIds(left.id, right.id)),
  );
}

async function checkScroll(
  client: LocalQdrantClient,
  model: Model,
  operation: Operation & { kind: 'scroll' },
): Promise<void> {
  const found: Id[] = [];
  let offset: unknown;
  do {
    const page = await client.scroll('docs', { filter: operation.filter, limit: operation.limit, offset });
    expect(page.points.length).toBeLessThanOrEqual(operation.limit);
    found.push(...page.points.map(({ id }) => id));
    offset = page.next_page_offset;
  } while (offset !== null);
  const expected = matching(model, operation.filter);
  expect(found).toEqual(expected);
  expect(await client.count('docs', { filter: operation.filter })).toEqual({ count: expected.length });
}

async function checkAll(client: LocalQdrantClient, model: Model): Promise<void> {
  const { points } = await client.scroll('docs', { limit: 1000, with_vector: true });
  expect(points.map(({ id, payload }) => [id, payload])).toEqual(
    [...model].sort(([left], [right]) => compareIds(left, right)).map(([id, { payload }]) => [id, payload]),
  );
  for (const { id, vector } of points) {
    const given = model.get(id)?.vector ?? [];
    const expected = given.every((value) => value === 0) ? 0 : 1;
    expect(cosine(vector as number[], given)).toBeCloseTo(expected, 6);
  }
}

it.each([
  ['in memory', false, 400],
  ['in a folder, reopened in between', true, 80],
])('does what a plain model does, %s', { timeout: 240_000 }, async (_, isFolder, numRuns) => {
  const folder = await mkdtemp(join(tmpdir(), 'local-engine-model-'));
  let trace = 0;
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { minLength: 1, maxLength: 25 }), async (steps) => {
        const location = isFolder ? join(folder, String(trace++)) : ':memory:';
        const model: Model = new Map();
        let client = await LocalQdrantClient.open({ location });
        await client.createCollection('docs', { vectors: { size: 3, distance: 'Cosine' } });
        try {
          for (const step of steps) {
            if (step.kind === 'reopen' && isFolder) {
              await client.close();
              client = await LocalQdrantClient.open({ location });
            }
            applyToModel(model, step);
            await run(client, model, step);
          }
          await checkAll(client, model);
        } finally {
          await client.close();
        }
      }),
      { numRuns },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
