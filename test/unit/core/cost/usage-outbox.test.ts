import { describe, expect, it } from 'vitest';
import { type UsageDeadLetter, UsageOutbox } from '#src/core/cost/usage-outbox.js';
import type { IntegrationRepository, TenantUsage, UsageRecord } from '#src/core/ports/integration-repository.js';
import { RepositoryError } from '#src/errors.js';
import { withResolvers } from '#src/internal/with-resolvers.js';
import { MemoryIntegrationRepository } from '#src/repositories/memory/memory-integration-repository.js';

const usageOf = (inputCount: number): UsageRecord => ({
  provider: 'wex_ai_gateway',
  operation: 'embedding',
  modelName: 'm',
  inputCount,
  inputTokens: 1,
  outputTokens: 0,
  cost: '0.0000',
  requestMetadata: { usage_id: `usage-${inputCount}` },
});

const away = () => new Error('connection lost');
const refused = () =>
  new RepositoryError('A constraint refused it.', {
    operation: 'recordUsageRows',
    isRetryable: false,
    isAboutRow: true,
    cause: undefined,
  });

/** A database whose state a test sets. It counts its writes, and keeps the rows of those that succeed. */
function setUp({ inBatches = true } = {}) {
  const memory = new MemoryIntegrationRepository();
  const state = {
    error: undefined as (() => unknown) | undefined,
    refuses: new Set<number>(),
    writes: [] as number[],
    mayExist: [] as unknown[],
  };
  const stored = new Map<string, number>();
  const write = async (rows: readonly TenantUsage[], mayExist?: boolean) => {
    state.writes.push(rows.length);
    state.mayExist.push(mayExist);
    await new Promise(setImmediate);
    if (state.error !== undefined) throw state.error();
    if (rows.some(({ usage }) => state.refuses.has(usage.inputCount))) throw refused();
    for (const { usage } of rows) stored.set(String(usage.requestMetadata.usage_id), usage.inputCount);
  };
  const repository: IntegrationRepository = Object.assign(memory, {
    recordUsage: (tenantId: number, usage: UsageRecord) => write([{ tenantId, usage }]),
    ...(inBatches
      ? {
          recordUsageRows: (rows: readonly TenantUsage[], { mayExist }: { mayExist?: boolean } = {}) =>
            write(rows, mayExist),
        }
      : {}),
  });
  const logged: Record<string, unknown>[] = [];
  const log = (fields: Readonly<Record<string, unknown>>) => void logged.push(fields);
  const letters: UsageDeadLetter[] = [];
  const outbox = new UsageOutbox({
    repository,
    logger: { debug: log, info: log, warn: log, error: log },
    onDeadLetter: (letter) => void letters.push(letter),
    gatherMs: 5,
  });
  const enter = (...counts: number[]) => counts.map((count) => outbox.enter(1, 7, usageOf(count)));
  return { outbox, enter, state, counts: () => [...stored.values()], logged, letters };
}

const range = (length: number, from = 1) => Array.from({ length }, (_, at) => from + at);

describe.each([
  ['a repository that takes batches', true],
  ['one that takes single rows', false],
])('UsageOutbox with %s', (_, inBatches) => {
  it('writes what was entered in the background, without being asked', async () => {
    const { outbox, enter, counts } = setUp({ inBatches });
    enter(...range(50));
    expect(outbox.counts(7)).toEqual({ waiting: 50, written: 0, dead: 0 });
    await expect.poll(() => counts()).toEqual(range(50));
    expect(outbox.counts()).toEqual({ waiting: 0, written: 50, dead: 0 });
  });

  it('keeps rows while the database is away, and writes each once when it is back', async () => {
    const { outbox, enter, state, counts } = setUp({ inBatches });
    state.error = away;
    enter(1, 2);
    await expect(outbox.flush()).rejects.toThrow('connection lost');
    expect([outbox.counts().waiting, counts()]).toEqual([2, []]);
    state.error = undefined;
    enter(3);
    await outbox.flush();
    expect(counts().toSorted()).toEqual([1, 2, 3]);
  });

  it('tries again by itself', async () => {
    const { enter, state, counts } = setUp({ inBatches });
    state.error = away;
    enter(1);
    await expect.poll(() => state.writes.length).toBeGreaterThan(1);
    state.error = undefined;
    await expect.poll(() => counts()).toEqual([1]);
  });

  it('sets a refused row aside with its content, and writes all others', async () => {
    const { outbox, enter, state, counts, letters, logged } = setUp({ inBatches });
    state.refuses.add(13).add(14).add(400);
    enter(...range(600));
    await outbox.flush();
    expect(counts()).toEqual(range(600).filter((count) => ![13, 14, 400].includes(count)));
    expect(letters.map(({ usage, reason }) => [usage.inputCount, reason])).toEqual([
      [13, 'refused'],
      [14, 'refused'],
      [400, 'refused'],
    ]);
    expect(logged.map(({ usage }) => (usage as UsageRecord).inputCount)).toEqual([13, 14, 400]);
    expect(outbox.counts(7)).toEqual({ waiting: 0, written: 597, dead: 3 });
  });

  it('keeps at most 10,000 rows, and puts those that it drops into the log and the hook', async () => {
    const { outbox, enter, state, counts, letters, logged } = setUp({ inBatches });
    state.error = away;
    enter(...range(10_001, 0));
    expect(outbox.counts().waiting).toBe(10_000);
    expect(logged).toMatchObject([{ tenantId: 1, usage: { inputCount: 0 } }]);
    expect(letters).toMatchObject([{ reason: 'overflow' }]);
    state.error = undefined;
    await outbox.flush();
    expect(counts()).toEqual(range(10_000));
  });

  it('close() says that rows could not be written, has them in the log, and may be called again', async () => {
    const { outbox, enter, state, counts, logged } = setUp({ inBatches });
    state.error = away;
    enter(1, 2);
    await expect(outbox.close()).rejects.toThrow('connection lost');
    expect(logged.flatMap(({ usage }) => (usage ? [(usage as UsageRecord).inputCount] : [])).toSorted()).toEqual([
      1, 2,
    ]);
    state.error = undefined;
    await outbox.close();
    expect(counts().toSorted()).toEqual([1, 2]);
  });
});

describe('UsageOutbox', () => {
  it('writes many rows with one write', async () => {
    const { outbox, enter, state } = setUp();
    enter(...range(1200));
    await outbox.flush();
    expect(state.writes).toEqual([500, 500, 200]);
  });

  it('says of rows whose write failed that they may exist, and of others that they do not', async () => {
    const { outbox, enter, state } = setUp();
    state.error = away;
    enter(1);
    await outbox.flush().catch(() => {});
    state.error = undefined;
    await outbox.flush();
    enter(2);
    await outbox.flush();
    expect(state.mayExist.slice(-2)).toEqual([true, false]);
  });

  it('write-through waits for the row’s own write, and no longer than it may', async () => {
    const { outbox, enter, state, counts } = setUp();
    const [row] = enter(1);
    await outbox.writeThrough(row!, 60_000);
    expect(counts()).toEqual([1]);
    state.error = away;
    const [failing] = enter(2);
    await outbox.writeThrough(failing!, 60_000);
    expect(outbox.counts().waiting).toBe(1);
  });

  it('write-through ends with the time and with the signal although the write hangs', async () => {
    const { promise: answer, resolve } = withResolvers<void>();
    const repository = Object.assign(new MemoryIntegrationRepository(), { recordUsageRows: () => answer });
    const outbox = new UsageOutbox({ repository });
    const row = outbox.enter(1, 7, usageOf(1));
    await outbox.writeThrough(row, 0);
    await outbox.writeThrough(row, 60_000, AbortSignal.abort(new Error('gone')));
    expect(outbox.counts()).toEqual({ waiting: 1, written: 0, dead: 0 });
    resolve();
    await outbox.flush();
  });

  it('a hook that throws changes nothing', async () => {
    const outbox = new UsageOutbox({
      repository: Object.assign(new MemoryIntegrationRepository(), {
        recordUsageRows: async () => {
          throw refused();
        },
      }),
      onDeadLetter: () => {
        throw new Error('the hook is broken');
      },
    });
    outbox.enter(1, 7, usageOf(1));
    await outbox.flush();
    expect(outbox.counts()).toEqual({ waiting: 0, written: 0, dead: 1 });
  });
});
