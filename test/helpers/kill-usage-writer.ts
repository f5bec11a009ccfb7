import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type pg from 'pg';

/** `usage-writer.ts` as one file, which starts in a fraction of the time. */
export async function bundleUsageWriter(): Promise<{ readonly file: string; remove(): Promise<void> }> {
  // Inside the checkout, so that its packages are found.
  const folder = await mkdtemp(fileURLToPath(new URL('../../node_modules/.usage-writer-', import.meta.url)));
  const file = join(folder, 'usage-writer.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('usage-writer.ts', import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    alias: { '#src': fileURLToPath(new URL('../../src', import.meta.url)) },
    outfile: file,
    logLevel: 'error',
  });
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface KilledWriter {
  /** Calls whose return was seen before the kill. */
  readonly toldCount: number;
  /** Those of them that have no row. */
  readonly lostCount: number;
  /** How long before the kill the earliest lost call had returned, in milliseconds. */
  readonly lostMs: number;
  /** Rows with a `usage_id` that another row has as well. */
  readonly doubleCount: number;
}

/** Starts a writer, kills it after so many calls have returned, and compares the calls that returned with the rows. */
export async function killUsageWriter(
  pool: pg.Pool,
  options: { file: string; connectionString: string; tenantId: number; durability: string; afterCalls: number },
): Promise<KilledWriter> {
  const { file, connectionString, tenantId, durability, afterCalls } = options;
  const child = spawn(process.execPath, [file, connectionString, String(tenantId), durability], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const told = new Map<number, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    told.set(Number(line), performance.now());
    if (told.size === afterCalls) child.kill('SIGKILL');
  }
  await exited;
  const killedAt = Math.max(...told.values());
  await untilQuiet(pool);
  const { rows } = await pool.query<{ call: number; usage_id: string }>(
    `select (request_metadata->'tags'->>'call')::int as call, request_metadata->>'usage_id' as usage_id
     from ai_usage_trackings where tenant_id = $1`,
    [tenantId],
  );
  const stored = new Set(rows.map(({ call }) => call));
  const lost = [...told].filter(([call]) => !stored.has(call));
  return {
    toldCount: told.size,
    lostCount: lost.length,
    lostMs: lost.length === 0 ? 0 : Math.round(killedAt - Math.min(...lost.map(([, at]) => at))),
    doubleCount: rows.length - new Set(rows.map(({ usage_id }) => usage_id)).size,
  };
}

/** A statement that was under way when its process died may still be committed. */
async function untilQuiet(pool: pg.Pool): Promise<void> {
  for (;;) {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*)::int as count from pg_stat_activity
       where backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid()`,
    );
    if (rows[0]!.count === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
