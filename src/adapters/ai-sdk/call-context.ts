import type { HybridProviderManager } from '../../core/calls/hybrid-provider-manager.js';
import type { Provenance } from '../../core/calls/managed-options.js';
import type { CallPurpose } from '../../core/ports/call-options.js';
import type { EmbeddingInputType } from '../../core/ports/embedding-provider.js';
import type { TaskTier } from '../../core/routing/task-complexity.js';
import type { AiSdkMetadata, AiSdkOptions, SpecificationVersion } from './specification.js';

export interface AiSdkProviderOptions<Version extends SpecificationVersion = SpecificationVersion> {
  readonly manager: Pick<HybridProviderManager, 'generateEmbeddings' | 'generateText' | 'streamText'>;
  /**
   * Whose integrations serve and pay. Make one provider for each tenant: it is cheap, and no request can name another
   * tenant.
   */
  readonly tenantId: number;
  /** As in the manager's calls. @default 'auto' */
  readonly preferredProvider?: string | undefined;
  /** The version of the AI SDK's specification: `ai` 7 takes 'v4', `ai` 6 takes 'v3'. @default 'v4' */
  readonly specificationVersion?: Version | undefined;
}

/** The key of this library in `providerOptions` and `providerMetadata`. */
export const providerName = 'pulse';

/** What `providerOptions.pulse` may hold. */
interface PulseOptions {
  readonly inputType?: EmbeddingInputType;
  readonly requiredSpace?: string;
  readonly purpose?: CallPurpose;
  readonly preferredProvider?: string;
  readonly tier?: TaskTier;
}

/** What every call of the manager gets. */
export function callContext(
  { tenantId, preferredProvider }: AiSdkProviderOptions,
  modelId: string,
  call: { readonly abortSignal?: AbortSignal | undefined; readonly providerOptions?: AiSdkOptions | undefined },
) {
  const { inputType, requiredSpace, tier, ...pulse } = (call.providerOptions?.[providerName] ?? {}) as PulseOptions;
  const shared = {
    tenantId,
    preferredProvider: pulse.preferredProvider ?? preferredProvider,
    purpose: pulse.purpose,
    model: modelId === 'auto' ? undefined : modelId,
    signal: call.abortSignal,
  };
  return { shared, inputType, requiredSpace, tier };
}

/** Who served a call and what it cost, in the form of `providerMetadata`. */
export function toMetadata({ provider, integrationId, cost, failedOver }: Provenance): AiSdkMetadata {
  const failures = failedOver.map(({ code, message }) => ({ code, message }));
  return { [providerName]: { provider, integrationId, cost, failedOver: failures } };
}
