import { readFile } from 'node:fs/promises';
import { PGlite } from '@electric-sql/pglite';
import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';
import { PGliteDialect } from 'kysely-pglite-dialect';
import pg from 'pg';

/** The host's own view of its tables; the library needs no more of it than the handle. */
export interface Database {
  integrations: {
    id: Generated<number>;
    tenant_id: number;
    provider: string;
    type: string;
    base_url: string | null;
    password: string | null;
    ai_model: string | null;
    ai_model_config: string | null;
    cost_config: string | null;
    active: boolean | null;
  };
  ai_usage_trackings: {
    id: Generated<number>;
    tenant_id: number;
    provider: string;
    operation: string;
    model_name: string | null;
    input_count: number;
    total_tokens: number;
    request_metadata: unknown;
    created_at: Date;
  };
}

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 10_000 });
  // Without a listener, a connection that breaks while nobody uses it ends the process.
  const report = (error: Error) => console.error(`A connection to the database broke: ${error.message}`);
  pool.on('error', report);
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/** The host's database with the two tables: the PostgreSQL at the URL, or else an embedded one in memory. */
export async function openDatabase(url?: string): Promise<AsyncDisposable & { readonly db: Kysely<Database> }> {
  const dialect =
    url === undefined ? new PGliteDialect(await PGlite.create()) : new PostgresDialect({ pool: openPool(url) });
  const db = new Kysely<Database>({ dialect });
  const schema = await readFile(new URL('./schema.sql', import.meta.url), 'utf8');
  for (const statement of schema.split(';')) {
    if (statement.trim() !== '') await sql.raw(statement).execute(db);
  }
  return { db, [Symbol.asyncDispose]: () => db.destroy() };
}
