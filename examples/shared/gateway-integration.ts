import type { FernetCipher } from '@pulse/ai-providers';
import type { Kysely } from 'kysely';
import type { Database } from './database.js';

export interface Gateway {
  readonly baseUrl: string;
  readonly apiKey: string;
}

export function gatewayFromEnvironment(): Gateway | undefined {
  const { WEX_AI_GATEWAY_BASE_URL: baseUrl, WEX_AI_GATEWAY_API_KEY: apiKey } = process.env;
  return baseUrl && apiKey ? { baseUrl, apiKey } : undefined;
}

/** What the platform's administration does when a tenant sets the gateway up, or removes it: a row with the key encrypted, or none. */
export async function setGatewayIntegration(
  db: Kysely<Database>,
  tenantId: number,
  gateway: Gateway | undefined,
  cipher: FernetCipher,
): Promise<void> {
  const key = { tenant_id: tenantId, provider: 'wex_ai_gateway', type: 'ai_provider' };
  await db
    .deleteFrom('integrations')
    .where((eb) => eb.and(key))
    .execute();
  if (gateway === undefined) return;
  await db
    .insertInto('integrations')
    .values({
      ...key,
      base_url: gateway.baseUrl,
      password: cipher.encrypt(gateway.apiKey),
      ai_model: 'azure-text-embedding-3-small',
      ai_model_config: JSON.stringify({ batch_size: 100, timeout: 120, max_retries: 3 }),
      cost_config: JSON.stringify({ cost_per_1k_tokens: 0.00002 }),
      active: true,
    })
    .execute();
}
