import { missingDependency } from '../../../internal/load-peer.js';
import { loadOpenAiTokenizer } from './token-counter.js';

/**
 * Counts tokens as OpenAI's embedding models do (text-embedding-3 and ada-002, under whatever name a gateway gives them), for the `chunking`
 * of an upsert or a sync.
 *
 * @throws `missing_dependency` if gpt-tokenizer is not installed.
 * @example
 * const chunking = { countTokens: await openAiTokenCounter(), maxTokens: 512 };
 * await index.upsert(records, { tenantId: 7, tableName: 'handbook', chunking });
 */
export async function openAiTokenCounter(): Promise<(text: string) => number> {
  const tokenizer = await loadOpenAiTokenizer();
  if (tokenizer !== undefined) return (text) => tokenizer.count(text);
  throw missingDependency('gpt-tokenizer', 'Counting the tokens of OpenAI models', new Error('It cannot be loaded.'));
}
