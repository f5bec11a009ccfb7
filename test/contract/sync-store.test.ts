import { PGlite } from '@electric-sql/pglite';
import { Kysely } from 'kysely';
import { PGliteDialect } from 'kysely-pglite-dialect';
import { describe, expect, it } from 'vitest';
import type { DeadLetter, SyncStore } from '#src/core/ports/sync-store.js';
import { KyselySyncStore } from '#src/repositories/kysely/kysely-sync-store.js';
import { MemorySyncStore } from '#src/repositories/memory/memory-sync-store.js';

const letter = (recordId: string | number, attempts = 1): DeadLetter => ({
  recordId,
  code: 'input_refused',
  reason: "It's refused.",
  textHash: 'hash',
  attempts,
});
const byId = (letters: readonly DeadLetter[]) =>
  letters.toSorted((a, b) => JSON.stringify(a.recordId).localeCompare(JSON.stringify(b.recordId)));

const stores: [string, () => Promise<{ store: SyncStore; close(): Promise<void> }>][] = [
  ['MemorySyncStore', async () => ({ store: new MemorySyncStore(), close: async () => {} })],
  [
    'KyselySyncStore',
    async () => {
      const db = new Kysely<object>({ dialect: new PGliteDialect(await PGlite.create()) });
      await KyselySyncStore.createTables(db);
      await KyselySyncStore.createTables(db);
      return { store: new KyselySyncStore(db), close: () => db.destroy() };
    },
  ],
];

describe.each(stores)('%s', (_, open) => {
  it('keeps checkpoints and dead letters apart by tenant and table', async () => {
    const { store, close } = await open();
    const table = { tenantId: 1, tableName: 'a' };
    const others = [
      { tenantId: 2, tableName: 'a' },
      { tenantId: 1, tableName: 'b' },
    ];
    expect(await store.loadCheckpoint(table)).toBeUndefined();
    await store.saveCheckpoint(table, { cursor: 'x' });
    await store.saveCheckpoint(table, { cursor: "it's" });
    expect(await store.loadCheckpoint(table)).toEqual({ cursor: "it's" });
    await store.saveDeadLetters(table, [letter(1), letter('1'), letter('a "b"')]);
    await store.saveDeadLetters(table, [letter(1, 2)]);
    expect(byId(await store.listDeadLetters(table))).toEqual(byId([letter(1, 2), letter('1'), letter('a "b"')]));
    for (const other of others) {
      expect(await store.loadCheckpoint(other)).toBeUndefined();
      expect(await store.listDeadLetters(other)).toEqual([]);
      await store.removeDeadLetters(other, [1, '1']);
      await store.saveCheckpoint(other, undefined);
    }
    await store.removeDeadLetters(table, [1, 'a "b"', 'unknown']);
    await store.removeDeadLetters(table, []);
    expect(await store.listDeadLetters(table)).toEqual([letter('1')]);
    await store.saveCheckpoint(table, undefined);
    expect(await store.loadCheckpoint(table)).toBeUndefined();
    const many = Array.from({ length: 2_500 }, (_, i) => letter(i + 10));
    await store.saveDeadLetters(table, many);
    expect(await store.listDeadLetters(table)).toHaveLength(2_501);
    await close();
  });
});
