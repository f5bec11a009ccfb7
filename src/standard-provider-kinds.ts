import type { CredentialCipher } from './core/ports/credential-cipher.js';
import type { ProviderKind } from './core/ports/provider-kind.js';
import { requireKnownKeys } from './internal/known-keys.js';
import { requireMethods } from './internal/validate.js';
import { sentenceTransformersKind } from './providers/sentence-transformers/kind.js';
import type { LocalModelOptions } from './providers/sentence-transformers/options.js';
import { openAiKind, type WexGatewayKindOptions, wexGatewayKind } from './providers/wex-gateway/kind.js';

export interface StandardProviderKindsOptions {
  /** Decrypts `integrations.password`. */
  readonly credentialCipher: CredentialCipher;
  readonly gateway?: Omit<WexGatewayKindOptions, 'credentialCipher'> | undefined;
  readonly local?: LocalModelOptions | undefined;
}

/**
 * The kinds of provider that this library brings: `wex_ai_gateway`, `openai` and `sentence_transformers`.
 *
 * @example With one of your own
 * new ProviderFactory({ repository, kinds: [...standardProviderKinds({ credentialCipher }), bedrockKind] })
 */
export function standardProviderKinds(options: StandardProviderKindsOptions): ProviderKind[] {
  requireKnownKeys<StandardProviderKindsOptions>(options, { credentialCipher: true, gateway: true, local: true });
  requireMethods(
    options.credentialCipher,
    'credentialCipher',
    ['decrypt'],
    'a CredentialCipher, such as a FernetCipher',
  );
  const gateway = { ...options.gateway, credentialCipher: options.credentialCipher };
  return [wexGatewayKind(gateway), openAiKind(gateway), sentenceTransformersKind(options.local)];
}
