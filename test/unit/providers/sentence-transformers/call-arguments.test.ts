import { describe, expect, it } from 'vitest';
import { SentenceTransformersProvider } from '#src/providers/sentence-transformers/provider.js';

/** A folder that does not exist: whatever is thrown here was thrown before a file was looked for. */
const provider = new SentenceTransformersProvider({
  model: 'acme/none',
  modelFolder: '/nonexistent/model',
  cacheFolder: '/nonexistent/cache',
});

describe('a kind of text that is not known', () => {
  const options = { inputType: 'passage' as never };
  const refused = {
    name: 'InvalidInputError',
    message: expect.stringContaining('`inputType` to be document or query'),
  };

  it('is refused, in place of being embedded without a prompt', async () => {
    await expect(provider.generateEmbeddings(['a'], options)).rejects.toMatchObject(refused);
    await expect(provider.embedStream(['a'], options).next()).rejects.toMatchObject(refused);
  });
});

describe('a health check that is aborted', () => {
  it('says nothing about the model', async () => {
    const signal = AbortSignal.abort(new Error('mine'));
    expect(await provider.health({ signal })).toEqual({ status: 'unknown', detail: 'The check was aborted.' });
  });
});
