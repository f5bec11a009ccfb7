import process from 'node:process';
import type { ReadSyncPage } from '@pulse/ai-providers';
import { type Generated, Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import type { Database } from '../shared/database.js';

/** The table that is made searchable. */
export interface EtlDatabase extends Database {
  work_items: { id: Generated<number>; tenant_id: number; title: string; status: string };
}

/** The pool, and a Kysely handle on it. */
export function openEtlDatabase() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
  // A connection that breaks while nobody uses it must not end the process.
  pool.on('error', (error) => console.error('A database connection broke.', error.message));
  const db = new Kysely<EtlDatabase>({ dialect: new PostgresDialect({ pool }) });
  return { db, pool, [Symbol.asyncDispose]: () => db.destroy() };
}

export async function createTables(db: Kysely<EtlDatabase>): Promise<void> {
  await sql`create table if not exists work_items (id serial primary key, tenant_id integer not null,
    title text not null, status text not null)`.execute(db);
}

const pageLength = 400;

/** A tenant's work items, a page at a time by id: the cursor is the last id of the page before. */
export function pagesOfWorkItems(db: Kysely<EtlDatabase>, tenantId: number): ReadSyncPage {
  return async (cursor = '0') => {
    const items = await db
      .selectFrom('work_items')
      .select(['id', 'title', 'status'])
      .where('tenant_id', '=', tenantId)
      .where('id', '>', Number(cursor))
      .orderBy('id')
      .limit(pageLength)
      .execute();
    const records = items.map(({ id, title, status }) => ({ recordId: id, text: title, metadata: { title, status } }));
    return items.length === pageLength ? { records, nextCursor: String(items.at(-1)!.id) } : { records };
  };
}

/** Something to load: as many work items as asked for, all different. */
export async function addWorkItems(db: Kysely<EtlDatabase>, tenantId: number, count: number): Promise<void> {
  const subjects = ['The nightly import', 'The invoice report', 'The login page', 'The search index', 'The mobile app'];
  const events = [
    'stops with a timeout',
    'shows wrong totals',
    'is slow since the release',
    'asks for a new permission',
  ];
  const places = ['in production', 'for new customers', 'on Mondays', 'after a password change', 'with large files'];
  await db
    .insertInto('work_items')
    .values(
      Array.from({ length: count }, (_, index) => ({
        tenant_id: tenantId,
        title: `${subjects[index % 5]} ${events[index % 4]} ${places[Math.floor(index / 20) % 5]} (case ${index})`,
        status: index % 3 === 0 ? 'closed' : 'open',
      })),
    )
    .execute();
}
