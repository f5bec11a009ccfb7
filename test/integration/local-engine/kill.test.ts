import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildProgram } from '../../fixtures/local-engine/build-program.js';
import { killWriters } from '../../fixtures/local-engine/kill-writers.js';

// `npm run soak:engine` does it as often as one likes (docs/decisions/local-engine.md has the record).
const kills = 200;

it(`loses no acknowledged change, of points or of collections, over ${kills} SIGKILLs, and never shows half of one`, {
  timeout: 600_000,
}, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'local-engine-kill-'));
  try {
    const writerScript = await buildProgram('writer', folder);
    const report = await killWriters({ folder: join(folder, 'store'), writerScript, kills, seed: 1 });
    expect(report.kills).toBe(kills);
    expect(report.acknowledgedOperations).toBeGreaterThan(kills);
    expect(report.acknowledgedCatalogOperations).toBeGreaterThan(kills);
    expect(report.snapshots).toBeGreaterThan(0);
    console.info(`${kills} kills: ${JSON.stringify(report)}`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
