#!/usr/bin/env node
import process from 'node:process';
import { parseArgs } from 'node:util';
import { isAiProviderError } from '../errors.js';
import { copyVectorStore } from '../vector-stores/qdrant/admin/copy-vector-store.js';
import { optionsFromEnv, type PulseQdrantClientOptions } from '../vector-stores/qdrant/wire/client-options.js';

const usage = `Copies all vectors from one store to another and verifies the copy. Safe to run again; deletes nothing from the source.

  pulse-copy-vectors <from> [<to>] [--mirror]

<from> and <to>: a folder of the local engine, or the URL of a Qdrant server. Without <to>: the server that QDRANT_HOST and QDRANT_PORT name.
A record that both have is overwritten in the target where it differs. Records that only the target has are an error, before anything of their
table is written; with --mirror they are deleted there.
QDRANT_API_KEY is sent to every server, QDRANT_TIMEOUT (seconds) limits each request. Nobody may write to either store meanwhile.
`;

const options = { mirror: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;

await main();

async function main(): Promise<void> {
  const given = parseArguments();
  if (given?.values.help) {
    process.stdout.write(usage);
    return;
  }
  const [from, to, ...more] = given?.positionals ?? [];
  if (from === undefined || more.length > 0) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  try {
    await copy(from, to, given?.values.mirror ?? false);
  } catch (error) {
    process.stderr.write(`${isAiProviderError(error) ? `${error.message} (${error.code})` : String(error)}\n`);
    process.exitCode = 1;
  }
}

/** Undefined for an option that is none. */
function parseArguments() {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch {
    return undefined;
  }
}

async function copy(from: string, to: string | undefined, mirror: boolean): Promise<void> {
  let pointCount = 0;
  const tables = await copyVectorStore(storeOptions(from), storeOptions(to), {
    mirror,
    onTable: (table) => {
      pointCount += table.pointCount;
      process.stdout.write(
        `tenant ${table.tenantId}  ${table.tableName} (${table.mode})  ${table.pointCount} points, verified\n`,
      );
    },
    onForeign: (collection) => {
      process.stderr.write(`${collection} is not one of this library's collections: left out\n`);
    },
  });
  process.stdout.write(`${tables.length} tables, ${pointCount} points, all equal in both stores.\n`);
}

function storeOptions(place: string | undefined): PulseQdrantClientOptions {
  const environment = optionsFromEnv(process.env);
  if (place === undefined) return environment;
  const { timeoutMs, apiKey } = environment;
  if (!/^https?:\/\//i.test(place)) return { location: place, timeoutMs };
  return { url: place, timeoutMs, apiKey };
}
