// Kills a process that writes to the local engine (SIGKILL), opens its store and checks it, again and again on the same
// store. npm run soak:engine -- [kills, default 500] [seed, default the time]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildProgram } from '../test/fixtures/local-engine/build-program.js';
import { killWriters } from '../test/fixtures/local-engine/kill-writers.js';

const kills = Number(process.argv[2] ?? 500);
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
process.stdout.write(`${kills} kills, seed ${seed}\n`);
const folder = await mkdtemp(join(tmpdir(), 'soak-local-engine-'));
const report = await killWriters({
  folder: join(folder, 'store'),
  writerScript: await buildProgram('writer', folder),
  kills,
  seed,
  onKill: ({ kills: done, acknowledgedOperations }) => {
    if (done % 50 === 0)
      process.stdout.write(`${done} kills, ${acknowledgedOperations} acknowledged operations, none lost\n`);
  },
});
process.stdout.write(`${JSON.stringify(report)}\n`);
// If a check fails, the store stays for a look at it.
await rm(folder, { recursive: true });
