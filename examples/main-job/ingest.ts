import type { VectorIndex } from '@pulse/ai-providers';
import { SingleBar } from 'cli-progress';
import type { Passage } from './passages.js';

interface Job {
  readonly tenantId: number;
  readonly tableName: string;
  readonly label: string;
  readonly passages: readonly Passage[];
}

const passagesPerStep = 20;

/** Embeds and stores a tenant's passages under a progress bar. */
export async function ingest(index: VectorIndex, { tenantId, tableName, label, passages }: Job): Promise<void> {
  const bar = new SingleBar({ format: `${label} [{bar}] {value}/{total} passages, {duration} s`, hideCursor: true });
  const startedAt = performance.now();
  bar.start(passages.length, 0);
  for (let start = 0; start < passages.length; start += passagesPerStep) {
    const records = passages
      .slice(start, start + passagesPerStep)
      .map(({ recordId, source, text }) => ({ recordId, text, metadata: { source, text } }));
    await index.upsert(records, { tenantId, tableName });
    bar.increment(records.length);
  }
  bar.stop();
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `${label}: ${passages.length} passages in ${seconds.toFixed(1)} s (${Math.round(passages.length / seconds)}/s)`,
  );
}
