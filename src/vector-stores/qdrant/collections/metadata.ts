import { VectorStoreError } from '../../../errors.js';
import type { CollectionMode } from '../tenancy/naming.js';
import type { TenantScope } from '../tenancy/tenant-scope.js';

const formatVersion = 1;

/**
 * What a collection says about itself, in its `metadata` (Qdrant 1.16 or later). A server merges metadata key by key,
 * so that what changes on its own has a key of its own; a host's keys beside ours are left alone.
 */
export interface CollectionMetadata {
  /** Whose it is and what it holds: written once, at creation. */
  readonly pulse_ai_providers: CollectionIdentity;
  /** Whether the platform made it, so that it may hold points under random ids; see `recordCondition`. */
  readonly pulse_adopted?: boolean | null;
  /** Which build of the table's collection this is, if it was rebuilt. */
  readonly pulse_generation?: number | null;
  /** Whether this build was committed: it holds the table, whatever has become of the alias that led to it. */
  readonly pulse_committed?: boolean | null;
  /** The build that took this one's place; set in the moment of the swap. */
  readonly pulse_superseded_by?: string | null;
  /** The mode that the tenant's points are on their way to; see `moveTenant`. */
  readonly pulse_moving_to?: CollectionMode | null;
  /** Which call of `moveTenant` or `cancelMove` does the moving: of two, the later one. */
  readonly pulse_mover?: string | null;
  /** The mode that all points have reached, if the other place is still to be cleared, and the call that says so. */
  readonly pulse_moved_to?: { readonly mode: CollectionMode; readonly mover: string } | CollectionMode | null;
  /** The last move into or out of the collection, so that a write knows whether one began meanwhile. */
  readonly pulse_last_move?: string | null;
  /** What to restore when a bulk load ends; see `bulkLoad`. */
  readonly pulse_bulk_load?: { readonly indexing_threshold: number | null; readonly until: string } | null;
}

export interface CollectionIdentity {
  readonly format_version: number;
  readonly mode: CollectionMode;
  /** Null if tenants share the collection. */
  readonly client_id: number | null;
  readonly table_name: string;
  readonly embedding_space: string | null;
}

export function makeMetadata(scope: TenantScope, embeddingSpace: string | undefined): CollectionMetadata {
  return {
    pulse_ai_providers: {
      format_version: formatVersion,
      mode: scope.mode,
      client_id: ownerOf(scope),
      table_name: scope.tableName,
      embedding_space: embeddingSpace ?? null,
    },
  };
}

/**
 * Reads and checks what a collection says about itself; undefined for one that says nothing, such as one that the
 * platform made before.
 *
 * @throws {@link VectorStoreError} with code `isolation_violated` for a collection of another tenant, table or mode,
 *   whatever its name.
 */
export function readMetadata(scope: TenantScope, value: unknown): CollectionMetadata | undefined {
  const identity = (value as Partial<CollectionMetadata> | null | undefined)?.pulse_ai_providers;
  if (identity === undefined || identity === null) return undefined;
  if (identity.format_version !== formatVersion) {
    throw new VectorStoreError(
      `The collection ${scope.collection} has the format ${String(identity.format_version)}; this version of @pulse/ai-providers reads ${formatVersion}.`,
      { code: 'unsupported_operation', collection: scope.collection },
    );
  }
  const isOurs = identity.mode === scope.mode && identity.client_id === ownerOf(scope);
  if (!isOurs || identity.table_name !== scope.tableName) {
    throw new VectorStoreError(
      `The collection ${scope.collection} says that it belongs to another tenant or table than ${scope.tenantId} and ${scope.tableName}; it was not touched.`,
      { code: 'isolation_violated', collection: scope.collection },
    );
  }
  return value as CollectionMetadata;
}

function ownerOf({ mode, tenantId }: TenantScope): number | null {
  return mode === 'shared' ? null : tenantId;
}

/**
 * Whether a collection may hold points that the platform stored: under random ids, a new one each time a record was
 * stored, so that only `record_id` tells whose record they are. That is so in one that the platform made; to look for
 * them anywhere else would read every payload.
 */
export function mayHoldPlatformPoints({
  scope,
  metadata,
}: {
  readonly scope: TenantScope;
  readonly metadata: CollectionMetadata | undefined;
}): boolean {
  return scope.mode === 'collection' && (metadata === undefined || metadata.pulse_adopted === true);
}

// What a tenant's own collection says about a move. As long as only `pulse_moving_to` is set, points are on their way,
// and the other place still has them all. `pulse_moved_to` says that all have arrived, and that what the other place
// has is to be deleted. Nothing is deleted without it.

/**
 * The marks of no move. Those of an ended or cancelled move stay without effect, however late their call writes them.
 */
export const noMove = { pulse_moving_to: null, pulse_moved_to: null, pulse_mover: null } as const;

/**
 * The mode that all of the tenant's points have reached, if the other place is still to be cleared. Only the call that
 * does the moving may say so: one that was stopped, and goes on after the move was cancelled or taken over, changes
 * nothing.
 */
export function movedTo(metadata: CollectionMetadata | undefined): CollectionMode | undefined {
  const mark = metadata?.pulse_moved_to ?? undefined;
  // As versions before 0.2 wrote it.
  if (typeof mark === 'string') return mark;
  return mark !== undefined && mark.mover === metadata?.pulse_mover ? mark.mode : undefined;
}

/** The mode that the tenant's points are on their way to, if they are. */
export function movingTo(metadata: CollectionMetadata | undefined): CollectionMode | undefined {
  return movedTo(metadata) === undefined ? (metadata?.pulse_moving_to ?? undefined) : undefined;
}
