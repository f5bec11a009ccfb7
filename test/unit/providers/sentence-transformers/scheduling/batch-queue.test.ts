import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchQueue, type QueuedText } from '#src/providers/sentence-transformers/scheduling/batch-queue.js';

interface NamedText extends QueuedText {
  readonly name: number;
}

const text = (name: number, length: number, maxTextsPerRun = 64): NamedText => ({
  name,
  tokenIds: new Int32Array(length),
  skipped: 0,
  maxTextsPerRun,
});

function queueOf(...lengths: number[]): BatchQueue<NamedText> {
  const queue = new BatchQueue<NamedText>();
  lengths.forEach((length, name) => {
    queue.add(text(name, length));
  });
  return queue;
}

const lengthsOf = (batch: readonly NamedText[]): number[] => batch.map(({ tokenIds }) => tokenIds.length);

describe('takeBatch', () => {
  it('takes the text that waited longest, with those nearest to it in length', () => {
    const queue = queueOf(20, 100, 21, 3, 19, 90);
    expect(lengthsOf(queue.takeBatch(63))).toEqual([19, 20, 21]);
    expect(lengthsOf(queue.takeBatch(200))).toEqual([90, 100]);
    expect(lengthsOf(queue.takeBatch(200))).toEqual([3]);
    expect(queue.takeBatch(200)).toEqual([]);
  });

  it('takes a text that is longer than the budget by itself', () => {
    expect(lengthsOf(queueOf(300, 300).takeBatch(256))).toEqual([300]);
  });

  it('keeps to the smallest number of texts that one of them allows', () => {
    const queue = new BatchQueue<NamedText>();
    for (const [name, limit] of [8, 2, 8, 8].entries()) queue.add(text(name, 10, limit));
    expect(queue.takeBatch(1000)).toHaveLength(2);
  });

  it('loses and doubles nothing, keeps to the budget and lets nobody starve', () => {
    const lengthsArbitrary = fc.array(fc.integer({ min: 1, max: 256 }), { maxLength: 80 });
    fc.assert(
      fc.property(lengthsArbitrary, fc.integer({ min: 1, max: 1024 }), (lengths, budget) => {
        const queue = queueOf(...lengths);
        const waiting = new Set(lengths.keys());
        while (queue.size > 0) {
          const batch = queue.takeBatch(budget);
          const padded = Math.max(...lengthsOf(batch)) * batch.length;
          expect(batch.length === 1 || padded <= budget).toBe(true);
          expect(batch.some(({ name }) => name === Math.min(...waiting))).toBe(true);
          for (const { name } of batch) expect(waiting.delete(name)).toBe(true);
        }
        expect(waiting.size).toBe(0);
        expect(queue.tokenCount).toBe(0);
      }),
    );
  });
});

describe('remove', () => {
  it('drops texts also where they would be the oldest', () => {
    const queue = queueOf(5, 6, 7);
    queue.remove(({ name }) => name === 0);
    expect(queue.tokenCount).toBe(13);
    expect(queue.takeBatch(1000).map(({ name }) => name)).toEqual([1, 2]);
  });
});
