import { type AiProviderError, InvalidInputError, isAiProviderError } from '../../errors.js';
import { requireOptions } from '../../internal/call-options.js';
import { suggestKey } from '../../internal/known-keys.js';
import { describeValue, isRecord } from '../../internal/validate.js';
import type { CallOptions } from '../ports/call-options.js';
import type { Integration } from '../ports/integration-repository.js';
import type { AiProvider, ProviderKind } from '../ports/provider-kind.js';
import { readCandidate } from './candidate.js';

/** A row of `integrations` as a configuration page has it, saved or not. */
export type IntegrationDraft = Pick<Integration, 'provider'> & Partial<Integration>;

export interface IntegrationReview {
  /** Whether calls can be made with the row, as far as that can be said without a call. */
  readonly isValid: boolean;
  /** Why not: sentences for an administrator, each with the name of the column. */
  readonly problems: readonly string[];
  /** What is probably meant otherwise, such as keys without a meaning. */
  readonly warnings: readonly string[];
}

export interface IntegrationTest extends IntegrationReview {
  /** `invalid`: no call was made. */
  readonly status: 'works' | 'fails' | 'invalid';
  readonly code: AiProviderError['code'] | undefined;
  /** How long the call took, in milliseconds. */
  readonly latencyMs: number | undefined;
  /** The model that answered. */
  readonly model: string | undefined;
  /** The length of its vectors; undefined for a row that serves texts only. */
  readonly dimension: number | undefined;
}

/**
 * Says what is wrong with a row before anybody calls with it. Makes no network call and loads no model.
 *
 * @param kinds - Those of the host's factory, such as `standardProviderKinds({ credentialCipher })`.
 * @throws `InvalidInputError` for a draft that is not an object.
 */
export async function validateIntegration(
  draft: IntegrationDraft,
  kinds: readonly ProviderKind[],
): Promise<IntegrationReview> {
  const { provider, review } = await open(draft, kinds);
  await provider?.close();
  return review;
}

/** The same, and then one short call with the row; it is paid for like any other, and recorded nowhere. */
export async function testIntegration(
  draft: IntegrationDraft,
  kinds: readonly ProviderKind[],
  options: CallOptions = {},
): Promise<IntegrationTest> {
  requireOptions(options);
  options.signal?.throwIfAborted();
  const { provider, kind, integration, review } = await open(draft, kinds);
  const nothing = { latencyMs: undefined, model: undefined, dimension: undefined, code: undefined };
  if (provider === undefined) return { ...review, ...nothing, status: 'invalid' };
  const startedAt = performance.now();
  try {
    const served = await callOnce(provider, kind!, integration, options);
    const latencyMs = Math.round(performance.now() - startedAt);
    return { ...review, ...nothing, ...served, latencyMs, status: 'works' };
  } catch (error) {
    options.signal?.throwIfAborted();
    if (!isAiProviderError(error)) throw error;
    const latencyMs = Math.round(performance.now() - startedAt);
    const problems = [...review.problems, error.message];
    return { ...review, ...nothing, problems, latencyMs, code: error.code, status: 'fails' };
  } finally {
    await provider.close();
  }
}

async function callOnce(provider: AiProvider, kind: ProviderKind, integration: Integration, options: CallOptions) {
  const isForEmbeddings = kind.isMadeFor?.(integration, 'embedding') ?? kind.operations.includes('embedding');
  if (!isForEmbeddings && provider.generateText !== undefined) {
    const { model } = await provider.generateText('Say yes.', { maxTokens: 16, ...options });
    return { model };
  }
  const { model, embeddings } = await provider.generateEmbeddings(['A text.'], options);
  return { model, dimension: embeddings[0]?.length };
}

interface Opened {
  readonly review: IntegrationReview;
  readonly integration: Integration;
  readonly kind: ProviderKind | undefined;
  /** Undefined if the row is not valid. */
  readonly provider: AiProvider | undefined;
}

async function open(draft: IntegrationDraft, kinds: readonly ProviderKind[]): Promise<Opened> {
  const integration = toIntegration(draft);
  const kind = kinds.find(({ name }) => name === integration.provider);
  if (kind === undefined) {
    const names = kinds.map(({ name }) => name);
    const problem = `\`provider\` is ${JSON.stringify(integration.provider)}, which no kind is for; there are ${names.join(', ')}.`;
    const problems = [problem + suggestKey(integration.provider, names)];
    return { integration, kind, provider: undefined, review: { isValid: false, problems, warnings: [] } };
  }
  const { problem, warnings: reviewed } = readCandidate(integration, kind, '');
  const warnings = [...reviewed, ...reviewAddress(integration)];
  const problems = problem === undefined ? [] : [problem.message];
  try {
    const usageRecorder = { record: async () => {} };
    const provider = problem === undefined ? await kind.create({ integration, usageRecorder }) : undefined;
    return { integration, kind, provider, review: { isValid: provider !== undefined, problems, warnings } };
  } catch (error) {
    if (!isAiProviderError(error)) throw error;
    problems.push(error.message);
    return { integration, kind, provider: undefined, review: { isValid: false, problems, warnings } };
  }
}

/** Addresses that servers answer with 404: people paste what they see in a document. */
function reviewAddress({ baseUrl }: Integration): string[] {
  if (!baseUrl || !URL.canParse(baseUrl)) return [];
  const { pathname } = new URL(baseUrl);
  const end = /\/(embeddings|chat\/completions|completions|models)\/*$/.exec(pathname)?.[1];
  if (end !== undefined) return [`\`base_url\` ends with /${end}, which is added to it: leave it out.`];
  if (/\/v\d+\w*(\/|$)/.test(pathname)) return [];
  return ['`base_url` has no version in its path. Most servers have their API under one, such as /v1.'];
}

function toIntegration(draft: unknown): Integration {
  if (!isRecord(draft) || typeof draft.provider !== 'string') {
    const came = isRecord(draft) ? `\`provider\` as ${describeValue(draft.provider)}` : describeValue(draft);
    throw new InvalidInputError(`Expected \`draft\` to be a row with a \`provider\`, got ${came}.`);
  }
  const { provider, ...fields } = draft as unknown as IntegrationDraft;
  return {
    id: 0,
    tenantId: 1,
    provider,
    active: true,
    ...fields,
    baseUrl: fields.baseUrl ?? null,
    password: fields.password ?? null,
    aiModel: fields.aiModel ?? null,
    aiModelConfig: isRecord(fields.aiModelConfig) ? fields.aiModelConfig : {},
    costConfig: isRecord(fields.costConfig) ? fields.costConfig : {},
    fallbackIntegrationId: fields.fallbackIntegrationId ?? null,
  };
}
