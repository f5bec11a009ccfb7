import { expect, it } from 'vitest';
import { TimeSlice } from '#src/internal/time-slice.js';
import { ValueCounts } from '#src/vector-stores/local/filter/value-counts.js';
import { PointTable } from '#src/vector-stores/local/point-table.js';

it('counts once, and what changes from then on', async () => {
  const points = new PointTable();
  for (let id = 0; id < 1000; id++) points.set(id, id % 4 === 0 ? { tag: id } : { other: [] });
  points.delete(0);
  const counts = new ValueCounts();
  counts.add({ tag: 'nobody has asked yet' });
  expect(await counts.at('tag', points, new TimeSlice())).toBe(249);
  expect(await counts.at('other', points, new TimeSlice())).toBe(750);
  counts.add({ tag: null });
  counts.add({});
  counts.remove({ tag: 4, other: 1 });
  // Whoever counts again finds nothing here.
  const none = new PointTable();
  expect(await counts.at('tag', none, new TimeSlice())).toBe(249);
  expect(await counts.at('other', none, new TimeSlice())).toBe(749);
});
