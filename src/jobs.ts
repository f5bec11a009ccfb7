/** A queue of syncs on the host's PostgreSQL, for several processes. */

export type { SyncJob } from './adapters/jobs/job.js';
export type { PostgresConnection, PostgresPool } from './adapters/jobs/postgres-pool.js';
export type { SyncQueueStatus } from './adapters/jobs/queue-status.js';
export { type EnqueueOptions, SyncQueue, type SyncQueueOptions } from './adapters/jobs/sync-queue.js';
export type { RunSync, SyncWorker, SyncWorkerOptions } from './adapters/jobs/sync-worker.js';
