/** What is to be synced. */
export interface SyncJob {
  readonly tenantId: number;
  readonly tableName: string;
}

/** A job as it is stored. */
export interface StoredJob extends SyncJob {
  readonly priority: number;
  /** How many runs of it have failed. */
  readonly failedRuns: number;
}

/** The one queue of the schema. */
export const queueName = 'sync';
