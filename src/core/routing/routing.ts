import type { Operation } from '../ports/provider-kind.js';
import type { Candidate } from './candidate.js';

/** What is known of the work when its candidates are ordered. */
export interface Work {
  /** A model in place of the row's own. */
  readonly model?: string | undefined;
}

/**
 * Up to this many texts `auto` uses the local model: a round trip to a gateway takes longer and costs more than
 * computing them.
 */
const localTextLimit = 10;

/**
 * The preferred one of a tenant's candidates if nothing is known of the work: paid before local, then the lowest id.
 */
export function chooseDefault(candidates: readonly Candidate[]): Candidate | undefined {
  return orderForEmbeddings(candidates, Number.POSITIVE_INFINITY)[0];
}

/**
 * The candidates for an embedding call, best first: up to {@link localTextLimit} texts go to the local model, more to a
 * paid provider. Rows whose own model is not made for embeddings, or that do not have the model asked for, come last.
 */
export function orderForEmbeddings(candidates: readonly Candidate[], textCount: number, work: Work = {}): Candidate[] {
  const isSmall = textCount <= localTextLimit;
  return order(candidates, 'embedding', work, (candidate) => (candidate.kind.isLocal === isSmall ? 0 : 1));
}

/** The candidates for text, best first: paid before local. */
export function orderForText(candidates: readonly Candidate[], work: Work = {}): Candidate[] {
  return order(candidates, 'text', work, (candidate) => (candidate.kind.isLocal ? 1 : 0));
}

/** @param preference - The lowest goes first among candidates that are equally fit. */
function order(
  candidates: readonly Candidate[],
  operation: Operation,
  work: Work,
  preference: (candidate: Candidate) => number,
): Candidate[] {
  return candidates
    .filter(({ kind }) => kind.operations.includes(operation))
    .map((candidate) => ({ candidate, rank: [unfitness(candidate, operation, work), preference(candidate)] as const }))
    .toSorted(
      ({ candidate: a, rank: [unfitA, preferenceA] }, { candidate: b, rank: [unfitB, preferenceB] }) =>
        unfitA - unfitB || preferenceA - preferenceB || a.integration.id - b.integration.id,
    )
    .map(({ candidate }) => candidate);
}

/** 0 for a row that is right for the work, more for each reason why it is a last resort. */
function unfitness({ integration, kind, problem }: Candidate, operation: Operation, { model }: Work): number {
  const lacksModel = model !== undefined && kind.hasModel?.(integration, model) === false;
  const isMadeForOther = model === undefined && kind.isMadeFor?.(integration, operation) === false;
  return (problem === undefined ? 0 : 4) + (lacksModel ? 2 : 0) + (isMadeForOther ? 1 : 0);
}
