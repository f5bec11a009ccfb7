import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { VectorIndex } from '../../core/index/vector-index.js';
import type { VectorStore } from '../../core/ports/vector-store.js';
import { InvalidInputError, isAiProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { missingDependency, requirePeers } from '../../internal/load-peer.js';
import { describeValue, isRecord, requireTenantId } from '../../internal/validate.js';

export interface McpServerOptions {
  readonly index: Pick<VectorIndex, 'search'>;
  /** Fixed by the host for the whole server, from who is logged in: nothing that a model says can change it. */
  readonly tenantId: number;
  /** The tables that may be searched, each with a sentence for the model: what is in it. */
  readonly tables: Readonly<Record<string, string>>;
  /** To tell how many records a table holds. @default the number is left out */
  readonly store?: Pick<VectorStore, 'describeCollection'> | undefined;
  /** The lowest cosine similarity of a hit. @default the index's own */
  readonly scoreThreshold?: number | undefined;
  /** How the server introduces itself. @default { name: 'pulse-search', version: '1.0.0' } */
  readonly info?: { readonly name: string; readonly version: string } | undefined;
}

const neededFor = 'The MCP server';

/** More than a model reads. */
const maxLimit = 50;

/**
 * A server of the Model Context Protocol with two read-only tools over one tenant's tables: `search` by meaning, and
 * `list` of what can be searched.
 * Connect it to a transport; close it with the session.
 *
 * @example
 * const server = await createMcpServer({ index, tenantId: 7, tables: { handbook: 'The company handbook.' } });
 * await server.connect(new StdioServerTransport());
 * @throws `InvalidInputError` for options that cannot be used; `missing_dependency` if @modelcontextprotocol/sdk or
 *   zod is not installed.
 */
export async function createMcpServer(options: McpServerOptions): Promise<McpServer> {
  const tables = checkOptions(options);
  await requirePeers(neededFor, { '@modelcontextprotocol/sdk': loadSdk, zod: loadZod });
  const [sdk, { z }] = await Promise.all([loadSdk(), loadZod()]);
  const server = new sdk.McpServer(options.info ?? { name: 'pulse-search', version: '1.0.0' });
  const annotations = { readOnlyHint: true, openWorldHint: false };
  server.registerTool(
    'list',
    {
      description: 'Lists the tables that `search` can look into: name, what is in it and, if known, how many records.',
      annotations,
    },
    ({ signal }) => answer(() => listTables(options, tables, signal)),
  );
  server.registerTool(
    'search',
    {
      description: `Finds the records of a table whose text is closest in meaning to the query. Tables: ${describeTables(options)}`,
      annotations,
      inputSchema: {
        query: z.string().min(1).describe('What to look for, in plain words.'),
        table: z.enum(tables as [string, ...string[]]).describe('One of the tables.'),
        limit: z.number().int().min(1).max(maxLimit).optional().describe('How many hits; 10 if left out.'),
      },
    },
    ({ query, table, limit }, { signal }) =>
      answer(async () => {
        const { index, tenantId, scoreThreshold } = options;
        const hits = await index.search(query, { tenantId, tableName: table, limit, scoreThreshold, signal });
        return hits.map(({ recordId, score, metadata }) => ({ recordId, score: Number(score.toFixed(4)), metadata }));
      }),
  );
  return server;
}

async function loadSdk() {
  try {
    return await import('@modelcontextprotocol/sdk/server/mcp.js');
  } catch (error) {
    throw missingDependency('@modelcontextprotocol/sdk', neededFor, error);
  }
}

async function loadZod() {
  try {
    return await import('zod');
  } catch (error) {
    throw missingDependency('zod', neededFor, error);
  }
}

function checkOptions(options: McpServerOptions): string[] {
  requireOptions(options);
  requireTenantId(options.tenantId);
  const { tables } = options;
  if (isRecord(tables) && Object.keys(tables).length > 0) return Object.keys(tables);
  throw new InvalidInputError(
    `Expected \`tables\` to be an object with a description for each table, got ${describeValue(tables)}.`,
  );
}

function describeTables({ tables }: McpServerOptions): string {
  return Object.entries(tables)
    .map(([name, description]) => `${name} (${description})`)
    .join('; ');
}

function listTables({ tenantId, tables, store }: McpServerOptions, names: readonly string[], signal: AbortSignal) {
  return Promise.all(
    names.map(async (name) => {
      const description = await store?.describeCollection(tenantId, name, { signal });
      const records = store === undefined ? {} : { records: description?.pointCount ?? 0 };
      return { table: name, description: tables[name], ...records };
    }),
  );
}

/**
 * The value as JSON, or the failure in words that a model can act on. Errors of other code may hold anything, and are
 * not shown.
 */
async function answer(run: () => Promise<unknown>) {
  try {
    return { content: [{ type: 'text' as const, text: JSON.stringify(await run()) }] };
  } catch (error) {
    const text = isAiProviderError(error) ? `${error.code}: ${error.message}` : 'The tool failed inside the server.';
    return { content: [{ type: 'text' as const, text }], isError: true };
  }
}
