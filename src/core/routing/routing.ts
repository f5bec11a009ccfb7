import type { Operation } from '../ports/provider-kind.js';
import type { Candidate } from './candidate.js';

/** What is known of the work when its candidates are ordered. */
export interface Work {
  /** A model in place of the row's own. */
  readonly model?: string | undefined;
}

/**
 * The preferred one of a tenant's candidates if nothing is known of the work: paid before local, then the lowest id.
 */
export function chooseDefault(candidates: readonly Candidate[]): Candidate | undefined {
  return orderByFitness(candidates, 'embedding', {}).toSorted(
    (a, b) =>
      unfitness(a, 'embedding', {}) - unfitness(b, 'embedding', {}) || Number(a.kind.isLocal) - Number(b.kind.isLocal),
  )[0];
}

/**
 * The candidates that have the operation. Rows with a problem, rows whose own model is not made for the work, and rows
 * that do not have the model asked for, come last.
 *
 * @param isById - Whether equally fit ones are in the order of their ids, or keep the order that they have.
 */
export function orderByFitness(
  candidates: readonly Candidate[],
  operation: Operation,
  work: Work,
  isById = true,
): Candidate[] {
  return candidates
    .filter(({ kind }) => kind.operations.includes(operation))
    .toSorted(
      (a, b) =>
        unfitness(a, operation, work) - unfitness(b, operation, work) ||
        (isById ? a.integration.id - b.integration.id : 0),
    );
}

/** 0 for a row that is right for the work, more for each reason why it is a last resort. */
function unfitness({ integration, kind, problem }: Candidate, operation: Operation, { model }: Work): number {
  const lacksModel = model !== undefined && kind.hasModel?.(integration, model) === false;
  const isMadeForOther = model === undefined && kind.isMadeFor?.(integration, operation) === false;
  return (problem === undefined ? 0 : 4) + (lacksModel ? 2 : 0) + (isMadeForOther ? 1 : 0);
}
