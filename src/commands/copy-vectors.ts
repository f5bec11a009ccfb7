#!/usr/bin/env node
import process from 'node:process';
import { parseArgs } from 'node:util';
import { isAiProviderError } from '../errors.js';
import { copyVectorStore } from '../vector-stores/qdrant/copy-vector-store.js';
import { optionsFromEnv, type PulseQdrantClientOptions } from '../vector-stores/qdrant/options.js';

const usage = `Copies all vectors from one store to another and verifies the copy. Safe to run again; deletes nothing from the source.

  pulse-copy-vectors <from> [<to>]

<from> and <to>: a folder of the local engine, or the URL of a Qdrant server. Without <to>: the server that QDRANT_HOST and QDRANT_PORT name.
QDRANT_API_KEY is sent to every server, QDRANT_TIMEOUT (seconds) limits each request. Nobody may write to either store meanwhile.
`;

const { positionals } = parseArgs({ allowPositionals: true });
const [from, to] = positionals;
if (from === undefined || positionals.length > 2) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  try {
    let pointCount = 0;
    const tables = await copyVectorStore(storeOptions(from), storeOptions(to), {
      onTable: (table) => {
        pointCount += table.pointCount;
        process.stdout.write(
          `tenant ${table.tenantId}  ${table.tableName} (${table.mode})  ${table.pointCount} points, verified\n`,
        );
      },
    });
    process.stdout.write(`${tables.length} tables, ${pointCount} points, all equal in both stores.\n`);
  } catch (error) {
    process.stderr.write(`${isAiProviderError(error) ? `${error.message} (${error.code})` : String(error)}\n`);
    process.exitCode = 1;
  }
}

function storeOptions(place: string | undefined): PulseQdrantClientOptions {
  const environment = optionsFromEnv(process.env);
  if (place === undefined) return environment;
  const { timeoutMs, apiKey } = environment;
  if (!/^https?:\/\//.test(place)) return { location: place, timeoutMs };
  return { url: place, timeoutMs, apiKey };
}
