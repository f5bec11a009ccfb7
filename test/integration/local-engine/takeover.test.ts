import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { LocalQdrantClient } from '#src/vector-stores/local/local-qdrant-client.js';
import { buildProgram } from '../../fixtures/local-engine/build-program.js';
import { LaneRecord } from '../../fixtures/local-engine/lane-record.js';

let folder: string;
let store: string;
let writer: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'local-engine-takeover-'));
  store = join(folder, 'store');
});
afterEach(async () => {
  writer?.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

const lane = 'left/0';

async function startWriter(start: string): Promise<{ lines: Interface; complaint: Promise<string> }> {
  const script = await buildProgram('writer', folder);
  const started = spawn(process.execPath, [script, store, start], { stdio: ['ignore', 'pipe', 'pipe'] });
  writer = started;
  return { lines: createInterface({ input: started.stdout }), complaint: text(started.stderr) };
}

async function untilStopped(pid: number): Promise<void> {
  while (!/^\d+ \(.*\) T /.test(await readFile(`/proc/${pid}/stat`, 'utf8'))) await nextTurn();
}

/** Makes the lock what it looks like from another container when its holder has stood still for a minute. */
async function ageLock(): Promise<void> {
  const [name = ''] = (await readdir(store)).filter((entry) => entry.startsWith('lock-'));
  const path = join(store, name);
  const owner = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...owner, pidScope: 'another container' }));
  const aMinuteAgo = new Date(Date.now() - 60_000);
  await utimes(path, aMinuteAgo, aMinuteAgo);
}

it('acknowledges nothing in a process that stood still while another took the folder over, and damages nothing', async () => {
  const { lines, complaint } = await startWriter(`${lane}:1`);
  const record = LaneRecord.of(lane);
  let linesAfterwards: number | undefined;
  lines.on('line', (line) => {
    const [word, , number] = line.split(' ');
    if (word === 'begin') record.begin(Number(number));
    if (word === 'done') record.acknowledge(Number(number));
    // One that notices nothing would write for ever.
    if (linesAfterwards !== undefined && ++linesAfterwards > 1000) writer?.kill('SIGKILL');
  });
  const { pid = 0 } = writer as ChildProcess;
  while (record.nextNumber < 50) await nextTurn();
  process.kill(pid, 'SIGSTOP');
  await untilStopped(pid);
  await ageLock();

  const second = await LocalQdrantClient.open({ location: store });
  const ended = once(writer as ChildProcess, 'close');
  linesAfterwards = 0;
  process.kill(pid, 'SIGCONT');
  for (let id = 0; id < 50; id++) {
    await second.upsert('left', { points: [{ id: 10_000 + id, vector: [0, 0, 0, id] }] });
  }
  expect(await ended).toEqual([1, null]);
  expect(await complaint).toContain('The lock of the local vector store is gone');
  await record.verify(second);
  await second.close();

  const third = await LocalQdrantClient.open({ location: store });
  const ids = Array.from({ length: 50 }, (_, id) => 10_000 + id);
  expect(await third.count('left', { filter: { must: [{ has_id: ids }] } })).toEqual({ count: 50 });
  await third.close();
});
