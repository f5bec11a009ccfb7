import { type Generated, type Kysely, sql } from 'kysely';
import type { Database } from '../shared/database.js';

export interface WorkItem {
  readonly id: number;
  readonly title: string;
  readonly status: string;
  readonly is_deleted: boolean;
  /** Grows with every change of any row: what was changed since a load has a higher one. */
  readonly revision: number;
}

/** The table that is made searchable, and how far each tenant's has been loaded. */
export interface EtlDatabase extends Database {
  work_items: {
    id: Generated<number>;
    tenant_id: number;
    title: string;
    status: string;
    is_deleted: Generated<boolean>;
    revision: Generated<number>;
  };
  etl_checkpoints: { tenant_id: number; table_name: string; revision: number };
}

export async function createTables(db: Kysely<EtlDatabase>): Promise<void> {
  await sql`create sequence if not exists work_items_revision as integer`.execute(db);
  await sql`create table if not exists work_items (id serial primary key, tenant_id integer not null, title text not null,
    status text not null, is_deleted boolean not null default false,
    revision integer not null default nextval('work_items_revision'))`.execute(db);
  await sql`create table if not exists etl_checkpoints (tenant_id integer, table_name text, revision integer not null,
    primary key (tenant_id, table_name))`.execute(db);
}

/** Rows changed after the given revision, a page at a time, so that a table of any length needs little memory. */
export async function* readWorkItems(
  db: Kysely<EtlDatabase>,
  tenantId: number,
  afterRevision: number,
  pageLength: number,
): AsyncGenerator<WorkItem[]> {
  for (let revision = afterRevision; ; ) {
    const page = await db
      .selectFrom('work_items')
      .select(['id', 'title', 'status', 'is_deleted', 'revision'])
      .where('tenant_id', '=', tenantId)
      .where('revision', '>', revision)
      .orderBy('revision')
      .limit(pageLength)
      .execute();
    const last = page.at(-1);
    if (last === undefined) return;
    yield page;
    revision = last.revision;
  }
}

export async function readCheckpoint(db: Kysely<EtlDatabase>, tenantId: number): Promise<number> {
  const row = await db
    .selectFrom('etl_checkpoints')
    .select('revision')
    .where('tenant_id', '=', tenantId)
    .where('table_name', '=', 'work_items')
    .executeTakeFirst();
  return row?.revision ?? 0;
}

export async function writeCheckpoint(db: Kysely<EtlDatabase>, tenantId: number, revision: number): Promise<void> {
  await db
    .insertInto('etl_checkpoints')
    .values({ tenant_id: tenantId, table_name: 'work_items', revision })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'table_name']).doUpdateSet({ revision }))
    .execute();
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

/** As a user does: the row stays, and the next load sees that it is gone. */
export async function deleteWorkItem(db: Kysely<EtlDatabase>, tenantId: number): Promise<void> {
  await sql`update work_items set is_deleted = true, revision = nextval('work_items_revision')
    where id = (select min(id) from work_items where tenant_id = ${tenantId})`.execute(db);
}
