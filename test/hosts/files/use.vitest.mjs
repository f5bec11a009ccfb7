import { expect, test } from 'vitest';
import { use } from './use.mjs';

test('the package loads and works', async () => {
  expect(await use()).toBe('found two');
});
