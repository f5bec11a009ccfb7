import { beforeEach, describe, expect, it, vi } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { QdrantAdmin } from '#src/vector-stores/qdrant/admin/qdrant-admin.js';
import { PulseQdrantClient } from '#src/vector-stores/qdrant/pulse-qdrant-client.js';
import type { QdrantClientLike } from '#src/vector-stores/qdrant-api.js';
import { dyingClient } from '../../helpers/dying-client.js';

let local: QdrantClientLike;
const openStore = (): PulseQdrantClient => new PulseQdrantClient({ client: local });
const openAdmin = (): QdrantAdmin => new QdrantAdmin(openStore());

beforeEach(async () => {
  local = (await LocalQdrantClient.open({ location: ':memory:' })) as unknown as QdrantClientLike;
  await openStore().createCollection(1, 'docs', { vectorSize: 3 });
});

describe('bulkLoad', () => {
  const thresholdOf = async (): Promise<unknown> =>
    (await local.getCollection('client_1_docs')).config.optimizer_config?.indexing_threshold;

  it('puts the index off while it runs, and restores the setting however it ends', async () => {
    await local.updateCollection('client_1_docs', { optimizers_config: { indexing_threshold: 12_345 } });
    const result = await openAdmin().bulkLoad(1, 'docs', async () => {
      expect(await thresholdOf()).toBe(0);
      return 'loaded';
    });
    expect(result).toBe('loaded');
    expect(await thresholdOf()).toBe(12_345);
    const failure = new Error('the source is gone');
    await expect(openAdmin().bulkLoad(1, 'docs', () => Promise.reject(failure))).rejects.toBe(failure);
    expect(await thresholdOf()).toBe(12_345);
  });

  it('restores the server’s own setting after a load that died twice', async () => {
    for (let time = 0; time < 2; time++) {
      const { client } = dyingClient(local, 3, true);
      await expect(new QdrantAdmin({ client }).bulkLoad(1, 'docs', async () => {})).rejects.toThrow();
      expect(await thresholdOf()).toBe(0);
    }
    await openAdmin().bulkLoad(1, 'docs', async () => {});
    expect(await thresholdOf()).toBe(10_000);
  });

  it('is restored by the next write after a process that died in it, and not before its time', async () => {
    await local.updateCollection('client_1_docs', { optimizers_config: { indexing_threshold: 12_345 } });
    const { client } = dyingClient(local, 3, true);
    await expect(new QdrantAdmin({ client }).bulkLoad(1, 'docs', async () => {})).rejects.toThrow();
    const write = (): Promise<unknown> =>
      openStore().upsertVectorsBatch(1, 'docs', [{ recordId: 1, vector: [1, 0, 0] }]);
    await write();
    expect(await thresholdOf()).toBe(0);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 6 * 60_000 });
    try {
      await write();
    } finally {
      vi.useRealTimers();
    }
    expect(await thresholdOf()).toBe(12_345);
    expect(await openAdmin().bulkLoad(1, 'docs', thresholdOf)).toBe(0);
    expect(await thresholdOf()).toBe(12_345);
  });

  it('restores the setting if it is aborted between its first two changes, or after them', async () => {
    await local.updateCollection('client_1_docs', { optimizers_config: { indexing_threshold: 12_345 } });
    for (const changes of [1, 2]) {
      const controller = new AbortController();
      const reason = new Error('enough');
      let count = 0;
      const { client } = dyingClient(local, 0, true, async () => {
        if (++count === changes) controller.abort(reason);
      });
      const load = new QdrantAdmin({ client }).bulkLoad(1, 'docs', async () => {}, { signal: controller.signal });
      await expect(load).rejects.toBe(reason);
      expect(await thresholdOf()).toBe(12_345);
      expect((await local.getCollection('client_1_docs')).config.metadata.pulse_bulk_load).toBeNull();
    }
  });
});
