import type { CollectionMode } from '../tenancy/naming.js';
import type { CollectionMetadata } from './metadata.js';

/**
 * What a tenant's own collection says about a move, in its metadata. While `pulse_moving_to` stands, points are on their way, and the other
 * place still has them all. Then `pulse_moved_to` takes its place, in one change: all of them are there, and what the other place has is to
 * be deleted. Nothing is ever deleted without it.
 */
export interface MoveMarks {
  readonly pulse_moving_to: CollectionMode | null;
  readonly pulse_moved_to: CollectionMode | null;
  /** Which call does the moving: of two, the later one. */
  readonly pulse_mover: string | null;
}

export const noMove: MoveMarks = { pulse_moving_to: null, pulse_moved_to: null, pulse_mover: null };

export function arrivedIn(mode: CollectionMode): MoveMarks {
  return { ...noMove, pulse_moved_to: mode };
}

/** Where the tenant's points are on their way to, if they are. */
export function movingTo(metadata: CollectionMetadata | undefined): CollectionMode | undefined {
  return movedTo(metadata) === undefined ? (metadata?.pulse_moving_to ?? undefined) : undefined;
}

/** Where all of the tenant's points are, where the other place is still to be cleared. */
export function movedTo(metadata: CollectionMetadata | undefined): CollectionMode | undefined {
  return metadata?.pulse_moved_to ?? undefined;
}
