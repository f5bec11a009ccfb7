import { setTimeout as wait } from 'node:timers/promises';
import { isAiProviderError, type PartialEmbeddingError, type VectorIndex } from '@pulse/ai-providers';
import type { Kysely } from 'kysely';
import { type EtlDatabase, readCheckpoint, readWorkItems, type WorkItem, writeCheckpoint } from './work-items.js';

export interface LoadResult {
  readonly loaded: number;
  readonly deleted: number;
  /** Work items that no provider would embed, and why: to be looked at, not to hold up the others. */
  readonly refused: readonly { readonly id: number; readonly code: string }[];
}

interface LoadOptions {
  readonly tenantId: number;
  readonly signal?: AbortSignal;
}

const pageLength = 400;
const maximumTries = 3;

/** Loads what was added, changed or deleted since the last load. A load that is cut short goes on at the page where it stopped. */
export async function loadWorkItems(
  db: Kysely<EtlDatabase>,
  index: VectorIndex,
  { tenantId, signal }: LoadOptions,
): Promise<LoadResult> {
  const table = { tenantId, tableName: 'work_items', signal };
  const result = { loaded: 0, deleted: 0, refused: [] as { id: number; code: string }[] };
  for await (const page of readWorkItems(db, tenantId, await readCheckpoint(db, tenantId), pageLength)) {
    const removed = page.filter((item) => item.is_deleted).map(({ id }) => id);
    const current = page.filter((item) => !item.is_deleted);
    const refused = await retry(() => upsert(index, current, table), signal);
    if (removed.length > 0) await retry(() => index.deleteRecords(removed, table), signal);
    // After the page is stored: a crash before this line loads the page again, which replaces and does not double.
    await writeCheckpoint(db, tenantId, page.at(-1)!.revision);
    result.loaded += current.length - refused.length;
    result.deleted += removed.length;
    result.refused.push(...refused);
  }
  return result;
}

async function upsert(index: VectorIndex, items: readonly WorkItem[], table: Parameters<VectorIndex['upsert']>[1]) {
  const records = items.map(({ id, title, status }) => ({ recordId: id, text: title, metadata: { title, status } }));
  try {
    await index.upsert(records, table);
    return [];
  } catch (error) {
    // Everything else is stored; whoever was refused for its own text will be refused again.
    if (!isPartial(error) || error.failures.some((failure) => failure.error.code !== 'input_refused')) throw error;
    return error.failures.map((failure) => ({ id: items[failure.position]!.id, code: failure.error.code }));
  }
}

function isPartial(error: unknown): error is PartialEmbeddingError {
  return isAiProviderError(error) && error.code === 'embedding_partially_failed';
}

/** The library has retried single requests; this bridges longer trouble, such as a gateway that is restarted. */
async function retry<Value>(run: () => Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt === maximumTries || !isAiProviderError(error) || !error.isRetryable) throw error;
      await wait(attempt * 1_000, undefined, { signal });
    }
  }
}
