import { parseArgs } from 'node:util';
import { copyVectorStore } from '../vector-stores/qdrant/admin/copy-vector-store.js';
import { optionsFromEnv, type PulseQdrantClientOptions } from '../vector-stores/qdrant/wire/client-options.js';
import { type Command, type CommandContext, exitCodes, UsageError } from './command.js';

const usage = `Copies all vectors from one store to another and verifies the copy. Safe to run again; deletes nothing from the source.

  pulse-ai copy-vectors <from> [<to>] [--mirror]

<from> and <to>: a folder of the local engine, or the URL of a Qdrant server.
Without <to>: the server that QDRANT_HOST and QDRANT_PORT name.
A record that both have is overwritten in the target if it differs. Records that only the target has are an error, before
anything of their table is written; with --mirror they are deleted there.
QDRANT_API_KEY is sent to every server, QDRANT_TIMEOUT (seconds) limits each request. Nobody may write to either store meanwhile.`;

export const command: Command = {
  usage,
  async run(context) {
    const { values, positionals } = parseArgs({
      args: [...context.args],
      allowPositionals: true,
      options: { mirror: { type: 'boolean' } },
    });
    const [from, to, ...more] = positionals;
    if (from === undefined) throw new UsageError('Expected a store to copy from.');
    if (more.length > 0) throw new UsageError(`Expected at most two stores, got ${positionals.length}.`);
    await copy(context, from, to, values.mirror ?? false);
    return exitCodes.done;
  },
};

async function copy(context: CommandContext, from: string, to: string | undefined, mirror: boolean): Promise<void> {
  let pointCount = 0;
  const options = (place: string | undefined) => storeOptions(place, context.env);
  const tables = await copyVectorStore(options(from), options(to), {
    mirror,
    onTable: (table) => {
      pointCount += table.pointCount;
      context.print(
        `tenant ${table.tenantId}  ${table.tableName} (${table.mode})  ${table.pointCount} points, verified`,
      );
    },
    onForeign: (collection) => {
      context.printError(`${collection} is not one of this library's collections: left out`);
    },
  });
  context.print(`${tables.length} tables, ${pointCount} points, all equal in both stores.`);
}

function storeOptions(place: string | undefined, env: CommandContext['env']): PulseQdrantClientOptions {
  const environment = optionsFromEnv(env);
  if (place === undefined) return environment;
  const { timeoutMs, apiKey } = environment;
  if (!/^https?:\/\//i.test(place)) return { location: place, timeoutMs };
  return { url: place, timeoutMs, apiKey };
}
