import Big from 'big.js';
import type { Account } from '../calls/account.js';
import type { Call } from '../calls/call.js';
import type { Budgets, Reservation } from '../cost/budget.js';
import type { BudgetLimit } from '../cost/budget-limits.js';
import { addCosts, calculateCost } from '../cost/cost.js';
import type { Operation } from '../ports/provider-kind.js';
import type { Candidate } from './candidate.js';
import { type Policy, type PolicyCandidate, type PolicyName, requireChoices, resolvePolicy } from './policy.js';
import type { ProviderGate } from './provider-gate.js';
import { orderByFitness, type Work } from './routing.js';

/** What a call is about, as far as its plan depends on it. */
export interface PlannedWork extends Work {
  readonly operation: Operation;
  readonly textCount: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly requiredSpace?: string | undefined;
  readonly isNewTable?: boolean | undefined;
}

/** Why a provider was chosen. */
export interface ProviderChoice {
  /** The policy's name. */
  readonly policy: string;
  readonly reason: string;
}

/** A token for every four characters: what most tokenizers come to with English. */
export function estimateTokens(characters: number): number {
  return Math.ceil(characters / 4);
}

export interface CallPlannerOptions {
  readonly policy?: PolicyName | Policy | undefined;
  /** The budget of tenants whose rows state none. */
  readonly limits: readonly BudgetLimit[];
  readonly budgets: Budgets;
  readonly gate: ProviderGate;
}

/** How much a new duration counts in the average. */
const newestShare = 0.2;

/** Orders the candidates of calls by policy and budget, and keeps what that needs to know of earlier calls. */
export class CallPlanner {
  readonly #options: CallPlannerOptions;
  readonly #policy: ReturnType<typeof resolvePolicy>;
  readonly #latencies = new Map<number, number>();
  readonly #queued = new Map<number, number>();

  /** @throws `InvalidInputError` for a policy that is not one. */
  constructor(options: CallPlannerOptions) {
    this.#options = options;
    this.#policy = resolvePolicy(options.policy);
  }

  /** @param all - The tenant's candidates; the budgets of all its rows count. */
  async plan(
    call: Call,
    wished: readonly Candidate[],
    all: readonly Candidate[],
    work: PlannedWork,
  ): Promise<CallPlan> {
    const { budgets } = this.#options;
    const stated = all.flatMap(({ limits }) => limits);
    const limits = stated.length > 0 ? stated : this.#options.limits;
    await budgets.load(call.tenantId, limits);
    const able = orderByFitness(wished, work.operation, work);
    const left = budgets.leftOf(call.tenantId, limits)?.toNumber() ?? null;
    const seen = able.map((candidate) => this.#describe(call, candidate, limits, work, left));
    const { purpose, tenantId } = call;
    const { operation, textCount, inputTokens, requiredSpace, isNewTable = false } = work;
    const request = { tenantId, operation, purpose, textCount, inputTokens, requiredSpace, isNewTable };
    const choices = requireChoices(this.#policy.policy(request, seen), seen);
    const byId = new Map(able.map((candidate) => [candidate.integration.id, candidate]));
    const chosen = choices.map(({ integrationId }) => byId.get(integrationId)!);
    const affordable = new Set(
      seen.filter(({ isAffordable }) => isAffordable).map(({ integrationId }) => integrationId),
    );
    // What the budget does not allow comes last, whatever the policy says: only if nothing else can serve, it is
    // refused.
    const ordered = orderByFitness(chosen, work.operation, work, false).toSorted(
      (a, b) => Number(affordable.has(b.integration.id)) - Number(affordable.has(a.integration.id)),
    );
    const reasons = new Map(choices.map(({ integrationId, reason }) => [integrationId, reason]));
    return {
      ordered,
      choiceOf: ({ integration }) => ({
        policy: this.#policy.name,
        reason: reasons.get(integration.id) ?? 'a fallback of the first choice',
      }),
      reserve: (candidate, share = 1) => {
        const estimate = estimateOf(candidate, work).times(share);
        return budgets.reserve(call.tenantId, limits, estimate);
      },
    };
  }

  /** Runs a candidate's part of a call and settles its reservation with what the account says. */
  async attempt<Result>(
    candidate: Candidate,
    textCount: number,
    account: Account,
    reservation: Reservation,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const { id } = candidate.integration;
    const startedAt = performance.now();
    const before = account.entries.length;
    this.#queued.set(id, (this.#queued.get(id) ?? 0) + textCount);
    try {
      const result = await work();
      const known = this.#latencies.get(id);
      const tookMs = performance.now() - startedAt;
      this.#latencies.set(id, known === undefined ? tookMs : known + (tookMs - known) * newestShare);
      return result;
    } finally {
      const left = (this.#queued.get(id) ?? 0) - textCount;
      if (left > 0) this.#queued.set(id, left);
      else this.#queued.delete(id);
      settle(reservation, account, before);
    }
  }

  #describe(
    { tenantId }: Call,
    candidate: Candidate,
    limits: readonly BudgetLimit[],
    work: PlannedWork,
    budgetLeft: number | null,
  ): PolicyCandidate {
    const { integration, kind } = candidate;
    const cost = costOfWork(candidate, work);
    return {
      integrationId: integration.id,
      provider: integration.provider,
      model: integration.aiModel,
      isLocal: kind.isLocal,
      estimatedCost: cost === null ? null : Number(cost),
      isAffordable: this.#options.budgets.allows(tenantId, limits, estimateOf(candidate, work)),
      budgetLeft,
      circuit: this.#options.gate.healthOf(candidate, work.operation).circuit,
      latencyMs: this.#latencies.get(integration.id) ?? null,
      queuedTexts: this.#queued.get(integration.id) ?? 0,
    };
  }
}

/** The order in which candidates are asked for one call, with what each may cost. */
export interface CallPlan {
  readonly ordered: readonly Candidate[];
  choiceOf(candidate: Candidate): ProviderChoice;
  /**
   * Sets money aside.
   *
   * @param share - How much of the work is left, 0 to 1.
   * @throws `budget_exceeded`
   */
  reserve(candidate: Candidate, share?: number): Reservation;
}

/** Settles a reservation with what the account got since then. */
export function settle(reservation: Reservation, account: Account, before: number): void {
  reservation.settle(addCosts(account.entries.slice(before).map(({ cost }) => cost)));
}

/** US dollars, or null if the price is unknown. */
function costOfWork({ integration, kind, prices }: Candidate, work: PlannedWork): string | null {
  const { aiModel, aiModelConfig } = integration;
  const ofConfig = aiModelConfig[work.operation === 'embedding' ? 'embedding_model' : 'text_model'];
  const model = work.model ?? (typeof ofConfig === 'string' ? ofConfig : aiModel) ?? '';
  const { inputTokens, outputTokens } = work;
  return calculateCost(prices, model, { inputTokens, outputTokens }) ?? (kind.isLocal ? '0' : null);
}

/** Of an unknown price nothing can be set aside; it counts once it is known. */
function estimateOf(candidate: Candidate, work: PlannedWork): Big {
  return new Big(costOfWork(candidate, work) ?? 0);
}
