import { InvalidInputError } from '../../errors.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { CallPurpose } from '../ports/call-options.js';
import type { Operation } from '../ports/provider-kind.js';
import type { CircuitState } from './circuit-breaker.js';

/** What a policy may know of the work. */
export interface PolicyRequest {
  readonly tenantId: number;
  readonly operation: Operation;
  readonly purpose: CallPurpose;
  /** How many texts are to be embedded; 1 for a prompt. */
  readonly textCount: number;
  /** Estimated: a token for every four characters. */
  readonly inputTokens: number;
  /**
   * The embedding space that the vectors must be of; candidates of other spaces are passed over whatever the policy
   * says.
   */
  readonly requiredSpace: string | undefined;
  /** The vectors begin a table, and all its later records and queries will need the same space. */
  readonly isNewTable: boolean;
}

/** What a policy may know of an integration that could serve. */
export interface PolicyCandidate {
  readonly integrationId: number;
  /** The `provider` column's value. */
  readonly provider: string;
  readonly model: string | null;
  /** It runs in this process and costs nothing. */
  readonly isLocal: boolean;
  /** US dollars that the work is estimated to cost; null if the price is unknown. */
  readonly estimatedCost: number | null;
  /** Whether the tenant's budget still allows it. */
  readonly isAffordable: boolean;
  /** US dollars that are left of the tenant's tightest budget; null if there is none. */
  readonly budgetLeft: number | null;
  readonly circuit: CircuitState;
  /** How long its calls took lately, in milliseconds; null before the first one. */
  readonly latencyMs: number | null;
  /** Texts of this process that it is working on. */
  readonly queuedTexts: number;
}

export interface PolicyChoice {
  readonly integrationId: number;
  /** Why it has this place, in a few words; the result of the call shows that of the one that served. */
  readonly reason: string;
}

/**
 * Orders the integrations that may serve a call, best first. One that is left out is not used. Must be pure: no I/O, no
 * clock, no chance.
 *
 * @example
 * const nightly: Policy = ({ purpose }, candidates) =>
 *   candidates
 *     .filter(({ isLocal }) => isLocal || purpose === 'interactive')
 *     .map(({ integrationId }) => ({ integrationId, reason: 'bulk work stays in the house' }));
 */
export type Policy = (request: PolicyRequest, candidates: readonly PolicyCandidate[]) => readonly PolicyChoice[];

/**
 * - `document`: few texts go to the local model, more to a paid provider; a new table begins with a paid one if there
 *   is any. The platform's rule.
 * - `lowest-cost`: the cheapest first; a price that is unknown comes last.
 * - `preferred-quality`: the most expensive first, since nothing else tells quality; a free provider is the last
 *   resort.
 * - `pinned`: paid before local and then the lowest id, whatever the work is.
 */
export type PolicyName = 'document' | 'lowest-cost' | 'preferred-quality' | 'pinned';

/**
 * Up to this many texts go to the local model: a round trip to a gateway takes longer and costs more than computing
 * them.
 */
const localTextLimit = 10;

const policies: Readonly<Record<PolicyName, Policy>> = {
  document: ({ operation, textCount, isNewTable }, candidates) => {
    const prefersLocal = operation === 'embedding' && textCount <= localTextLimit && !isNewTable;
    const size = prefersLocal ? `up to ${localTextLimit} texts` : `more than ${localTextLimit} texts`;
    const why = operation === 'text' ? 'text' : isNewTable ? 'a new table' : size;
    return rank(candidates, [({ isLocal }) => Number(isLocal !== prefersLocal)], ({ isLocal }) =>
      isLocal ? `local: ${why}` : `paid: ${why}`,
    );
  },
  'lowest-cost': (_, candidates) =>
    rank(candidates, [isAway, ({ estimatedCost }) => estimatedCost ?? Number.POSITIVE_INFINITY], priceReason),
  'preferred-quality': (_, candidates) =>
    rank(candidates, [isAway, ({ estimatedCost, isLocal }) => -(isLocal ? -1 : (estimatedCost ?? 0))], priceReason),
  pinned: (_, candidates) =>
    rank(candidates, [({ isLocal }) => Number(isLocal)], () => 'pinned: paid before local, then the lowest id'),
};

/** @throws {@link InvalidInputError} unless `value` is a policy or the name of one. */
export function resolvePolicy(value: PolicyName | Policy = 'document'): {
  readonly name: string;
  readonly policy: Policy;
} {
  if (typeof value === 'function') return { name: value.name || 'custom', policy: value };
  if (Object.hasOwn(policies, value)) return { name: value, policy: policies[value] };
  throw new InvalidInputError(
    `Expected \`policy\` to be a function or one of ${Object.keys(policies).join(', ')}, got ${describeValue(value)}.`,
  );
}

/** @throws {@link InvalidInputError} unless a policy returned choices among the candidates, each at most once. */
export function requireChoices(choices: unknown, candidates: readonly PolicyCandidate[]): readonly PolicyChoice[] {
  const open = new Set(candidates.map(({ integrationId }) => integrationId));
  if (!Array.isArray(choices)) throw invalidPolicy(`an array, got ${describeValue(choices)}`);
  for (const choice of choices) {
    if (!isRecord(choice) || typeof choice.reason !== 'string') throw invalidPolicy('objects with a `reason`');
    if (!open.delete(choice.integrationId as number))
      throw invalidPolicy("the candidates' `integrationId`s, each once");
  }
  return choices as PolicyChoice[];
}

function invalidPolicy(what: string): InvalidInputError {
  return new InvalidInputError(`Expected the policy to return ${what}.`);
}

/** Away for the moment: what cannot serve anyway comes after what can. */
function isAway({ circuit, isAffordable }: PolicyCandidate): number {
  return (circuit === 'open' ? 2 : 0) + (isAffordable ? 0 : 1);
}

/** @param measures - The lowest goes first; the next one counts if they are equal, and at last the id. */
function rank(
  candidates: readonly PolicyCandidate[],
  measures: readonly ((candidate: PolicyCandidate) => number)[],
  reasonOf: (candidate: PolicyCandidate) => string,
): PolicyChoice[] {
  const compare = (a: PolicyCandidate, b: PolicyCandidate): number => {
    for (const measure of measures) {
      const [left, right] = [measure(a), measure(b)];
      // Not by subtraction: two infinities differ by NaN.
      if (left !== right) return left < right ? -1 : 1;
    }
    return a.integrationId - b.integrationId;
  };
  return candidates
    .toSorted(compare)
    .map((candidate) => ({ integrationId: candidate.integrationId, reason: reasonOf(candidate) }));
}

function priceReason({ isLocal, estimatedCost }: PolicyCandidate): string {
  if (isLocal || estimatedCost === 0) return 'free';
  return estimatedCost === null ? 'price unknown' : `about ${estimatedCost.toPrecision(2)} US dollars`;
}
