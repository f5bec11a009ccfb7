import type { Integration } from '../ports/integration-repository.js';
import type { Operation, ProviderKind } from '../ports/provider-kind.js';

/** An integration with the kind that can make a provider of it. */
export interface Candidate {
  readonly integration: Integration;
  readonly kind: ProviderKind;
}

/** Up to this many texts `auto` uses the local model: a round trip to a gateway takes longer and costs more than computing them. */
const localTextLimit = 10;

/** The preferred one of a tenant's candidates when nothing is known of the work: paid before local, then the lowest id. */
export function chooseDefault(candidates: readonly Candidate[]): Candidate | undefined {
  return orderForEmbeddings(candidates, Number.POSITIVE_INFINITY)[0];
}

/**
 * The candidates for an embedding call, best first: up to {@link localTextLimit} texts go to the local model, more to a paid provider.
 * Rows whose own model is made for embeddings come first among their like.
 */
export function orderForEmbeddings(candidates: readonly Candidate[], textCount: number): Candidate[] {
  const able = rank(candidates, 'embedding');
  const local = able.filter(({ kind }) => kind.isLocal);
  const remote = able.filter(({ kind }) => !kind.isLocal);
  return textCount <= localTextLimit ? [...local, ...remote] : [...remote, ...local];
}

/** The candidates for text, best first: paid before local, rows whose own model generates text first among their like. */
export function orderForText(candidates: readonly Candidate[]): Candidate[] {
  const able = rank(candidates, 'text');
  return [...able.filter(({ kind }) => !kind.isLocal), ...able.filter(({ kind }) => kind.isLocal)];
}

function rank(candidates: readonly Candidate[], operation: Operation): Candidate[] {
  const isMadeFor = ({ integration, kind }: Candidate) => kind.isMadeFor?.(integration, operation) ?? true;
  return candidates
    .filter(({ kind }) => kind.operations.includes(operation))
    .toSorted((a, b) => Number(isMadeFor(b)) - Number(isMadeFor(a)) || a.integration.id - b.integration.id);
}
