import { expect, it } from 'vitest';
import { PayloadColumn } from '#src/vector-stores/local/filter/payload-column.js';
import { everyElement } from '#src/vector-stores/local/filter/payload-path.js';
import { ScanSchedule } from '#src/vector-stores/local/scan-schedule.js';

type Check = (values: readonly unknown[]) => boolean;

const evaluate = (column: PayloadColumn, check: Check) =>
  new ScanSchedule().run({}, (turns) =>
    column.evaluate({ kind: 'field', key: 'tag', path: ['tag'], count: 1, check }, turns),
  );

const rowsWhere = async (column: PayloadColumn, check: Check): Promise<number[]> => {
  const { codes, holds } = await evaluate(column, check);
  return Array.from(codes, (code, row) => (holds[code] === 1 ? row : -1)).filter((row) => row >= 0);
};

it('evaluates a condition once for each different finding', async () => {
  const column = new PayloadColumn(['tag'], 0);
  const tags = ['a', 'b', 'a', 1, '1', ['a'], undefined, null, { a: 1 }, { a: 1 }];
  tags.forEach((tag, row) => {
    column.set(row, tag === undefined ? {} : { tag });
  });
  const seen: unknown[] = [];
  await evaluate(column, (values) => {
    seen.push(values);
    return false;
  });
  expect(seen).toEqual([['a'], ['b'], [1], ['1'], [['a']], [], [null], [{ a: 1 }]]);
  expect(await rowsWhere(column, ([value]) => value === 'a')).toEqual([0, 2]);
  expect(await rowsWhere(column, (values) => values.length === 0)).toEqual([6]);
});

it('knows no row without a point, and forgets what no point has any more', async () => {
  const column = new PayloadColumn(['n'], 10);
  for (let round = 0; round < 5000; round++) column.set(round % 10, { n: round });
  expect(column.hasTooManyValues).toBe(false);
  const seen: unknown[] = [];
  await evaluate(column, (values) => {
    seen.push(...values);
    return true;
  });
  expect(seen.sort()).toEqual([4990, 4991, 4992, 4993, 4994, 4995, 4996, 4997, 4998, 4999]);
  column.remove(3);
  column.remove(3);
  expect(await rowsWhere(column, () => true)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9]);
});

it('says when it has too many different values', async () => {
  const column = new PayloadColumn(['n'], 0);
  for (let row = 0; row < 1024; row++) column.set(row, { n: row });
  expect(column.hasTooManyValues).toBe(false);
  for (let row = 1024; row < 2000; row++) column.set(row, { n: row });
  expect(column.hasTooManyValues).toBe(true);
});

it('takes no value for another, however alike they are written', async () => {
  const values: unknown[] = [
    [1],
    ['1'],
    [[1]],
    [],
    { 0: 1 },
    {},
    null,
    1,
    true,
    '',
    'no value',
    'undefined',
    'null',
    '1',
    'true',
  ];
  const findings = [...values.map((value) => [value]), [], ['a', 'b'], ['a,b'], ['a', ['b']]];
  // Every way to write a finding that comes to mind, as a string that somebody may store.
  const texts = findings.flatMap((finding) =>
    [finding, finding[0]].flatMap((value) =>
      [String(JSON.stringify(value)), String(value)].flatMap((text) => [text, `\u0000${text}`, `${text}\u0000`]),
    ),
  );
  const known = new Set(findings.flat());
  const strings = [...new Set(texts)].filter((text) => !known.has(text));
  const column = new PayloadColumn(['list', everyElement], 0);
  const all = [...findings, ...strings.map((text) => [text])];
  all.forEach((list, row) => {
    column.set(row, { list });
  });
  const seen: unknown[] = [];
  await evaluate(column, (found) => {
    seen.push(found);
    return false;
  });
  expect(seen).toEqual(all);
});
