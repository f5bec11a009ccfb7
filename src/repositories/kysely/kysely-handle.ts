/** Two handles of one database: rows are read from a replica, usage and new rows go to the primary. */
export interface KyselyHandles {
  readonly read: KyselyHandle;
  readonly write: KyselyHandle;
}

/**
 * What the repository needs of the host's `Kysely` or `Transaction`. Structural, since Kysely's classes have private
 * fields: a handle of another minor version, or of the other module format's declarations, would not be assignable to
 * them.
 */
export interface KyselyHandle {
  readonly isTransaction: boolean;
  selectFrom(table: never): unknown;
  insertInto(table: never): unknown;
  selectNoFrom(selection: never): unknown;
  transaction(): unknown;
}
