import type OpenAI from 'openai';
import { missingDependency } from '../../../internal/load-peer.js';
import { memoizeAsync } from '../../../internal/memoize-async.js';
import type { FetchLike, ResolvedWexGatewayOptions } from '../options.js';
import { longestTimerMs } from '../settings.js';

export type GatewayClient = OpenAI;

/**
 * Loads the `openai` package on first use. Retries and timeouts are ours alone: two layers of retries multiply.
 *
 * @param fetch - What to use unless the host has a `fetch` of its own. @default the global one
 */
export function gatewayClient(options: ResolvedWexGatewayOptions, fetch?: FetchLike): () => Promise<GatewayClient> {
  return memoizeAsync(async () => {
    const { default: OpenAI } = await loadOpenAi();
    return new OpenAI({
      baseURL: options.baseUrl,
      // The client insists on a key; without one, the header is taken away again.
      apiKey: options.apiKey ?? 'none',
      defaultHeaders: { ...options.headers, ...(options.apiKey === null ? { Authorization: null } : {}) },
      // Not from the environment: it may belong to another account than this integration.
      adminAPIKey: null,
      organization: null,
      project: null,
      maxRetries: 0,
      timeout: longestTimerMs,
      logLevel: 'off',
      // A key must not follow a redirect, and a POST that became a GET says nothing of use.
      fetchOptions: { redirect: 'manual' },
      fetch: options.fetch ?? fetch ?? globalThis.fetch,
    });
  });
}

async function loadOpenAi() {
  try {
    return await import('openai');
  } catch (error) {
    throw missingDependency('openai', 'The gateway', error);
  }
}
