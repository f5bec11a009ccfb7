import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AppendLog } from '#src/vector-stores/local/storage/append-log.js';
import { heldLock } from '../../../../fixtures/local-engine/held-lock.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'append-log-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

it('acknowledges nothing before the log that it continues from is on disk', async () => {
  const events: string[] = [];
  const first = await AppendLog.create(join(folder, 'first'), 0, heldLock);
  const second = await AppendLog.create(join(folder, 'second'), 1, heldLock);
  const large = first.append([Buffer.alloc(20_000_000)]).then(() => events.push('first'));
  second.continueFrom(first);
  const small = second.append([Buffer.alloc(1)]).then(() => events.push('second'));
  await second.flushed();
  await Promise.all([large, small]);
  expect(events).toEqual(['first', 'second']);
  await first.close();
  await second.close();
});

it('writes nothing if the log that it continues from failed', async () => {
  const first = await AppendLog.create(join(folder, 'first'), 0, heldLock);
  const second = await AppendLog.create(join(folder, 'second'), 1, heldLock);
  await first.close();
  const failed = expect(first.append([Buffer.alloc(1)])).rejects.toMatchObject({ code: 'vector_store_failed' });
  second.continueFrom(first);
  await expect(second.append([Buffer.alloc(1)])).rejects.toMatchObject({ code: 'vector_store_failed' });
  await expect(second.flushed()).rejects.toMatchObject({ code: 'vector_store_failed' });
  await failed;
  await second.close();
});
