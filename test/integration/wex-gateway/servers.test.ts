import { describe, expect, it } from 'vitest';
import { serverCases } from '#src/testing/index.js';
import { problemsOf } from '../../helpers/server-case.js';

describe.each(Object.keys(serverCases))('%s', (name) => {
  it.each((serverCases[name] ?? []).map((each) => [each.id, each] as const))('%s', async (_, each) => {
    expect(await problemsOf(each)).toEqual([]);
  });
});
