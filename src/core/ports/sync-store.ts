import type { CallOptions } from './call-options.js';

/** Whose table a sync fills. */
export interface SyncTable {
  readonly tenantId: number;
  readonly tableName: string;
}

/** How far a sync has come. */
export interface SyncCheckpoint {
  /** The cursor of the next page to read. */
  readonly cursor: string;
}

/** A record that has no vector of its present text, and why. */
export interface DeadLetter {
  readonly recordId: string | number;
  /** An error code, such as `input_refused`, or `no_text` for a record that has no text to embed. */
  readonly code: string;
  /** The error's message; it holds neither the text nor the metadata. */
  readonly reason: string;
  /** A hash of the text: a record whose text has changed is tried again. */
  readonly textHash: string;
  /** How many syncs have failed to embed it. */
  readonly attempts: number;
}

/**
 * What a sync remembers from one run to the next: how far it came, and which records it has set aside. Two
 * implementations are ready: `MemorySyncStore`, and `KyselySyncStore` in the host's database.
 */
export interface SyncStore {
  loadCheckpoint(table: SyncTable, options?: CallOptions): Promise<SyncCheckpoint | undefined>;
  /** Replaces the table's checkpoint; undefined removes it. */
  saveCheckpoint(table: SyncTable, checkpoint: SyncCheckpoint | undefined, options?: CallOptions): Promise<void>;
  /** All dead letters of the table. */
  listDeadLetters(table: SyncTable, options?: CallOptions): Promise<readonly DeadLetter[]>;
  /** Adds dead letters; one with the same record id is replaced. The number 1 and the string '1' are two ids. */
  saveDeadLetters(table: SyncTable, letters: readonly DeadLetter[], options?: CallOptions): Promise<void>;
  /** Unknown ids are not an error. */
  removeDeadLetters(table: SyncTable, recordIds: readonly (string | number)[], options?: CallOptions): Promise<void>;
}
