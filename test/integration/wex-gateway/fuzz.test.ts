import { expect, it } from 'vitest';
import { fuzzGateway } from '../../helpers/mutated-answers.js';

// `npm run fuzz:gateway` does it 100,000 times.
it('1,000 mutated answers each end in a result of its form or a typed error, within the deadline', async () => {
  const { findings, answers, errorCodes } = await fuzzGateway(1000);
  expect(findings).toEqual([]);
  expect(answers).toBeGreaterThan(100);
  expect(Object.keys(errorCodes)).toContain('invalid_response');
});
