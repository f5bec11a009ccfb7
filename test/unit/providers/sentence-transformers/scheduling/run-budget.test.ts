import { describe, expect, it } from 'vitest';
import { RunBudget } from '#src/providers/sentence-transformers/scheduling/run-budget.js';

/** Runs until the budget is found; `rate` is the tokens a millisecond that this machine would reach. */
function settle(budget: RunBudget, rate: (maxTokens: number) => number): number {
  for (let run = 0; run < 100 && !budget.isSettled; run++) {
    const { maxTokens } = budget;
    budget.note(maxTokens, maxTokens, maxTokens / rate(maxTokens));
  }
  return budget.maxTokens;
}

describe('RunBudget', () => {
  it("keeps to the host's own", () => {
    const budget = new RunBudget(300);
    expect(settle(budget, (tokens) => tokens)).toBe(300);
  });

  it.each([
    ['the largest where it is the fastest', (tokens: number) => tokens, 512],
    ['one in the middle', (tokens: number) => 1000 - Math.abs(tokens - 256), 256],
    [
      'the smallest where all are about as fast: urgent texts wait for it',
      (tokens: number) => 100 + tokens / 1000,
      128,
    ],
  ])('takes %s', (_, rate, expected) => {
    expect(settle(new RunBudget(undefined), rate)).toBe(expected);
  });

  it('starts over with larger ones on a GPU', () => {
    const budget = new RunBudget(undefined);
    settle(budget, (tokens) => tokens);
    budget.useDevice('cuda');
    expect(budget.isSettled).toBe(false);
    expect(settle(budget, (tokens) => tokens)).toBe(16_384);
  });

  it('learns nothing from a run of another budget', () => {
    const budget = new RunBudget(undefined);
    for (let run = 0; run < 50; run++) budget.note(100, 100, 1);
    expect(budget.isSettled).toBe(false);
  });
});
