import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, describe, expect, it, vi } from 'vitest';
import { WexGatewayProvider } from '#src/providers/wex-gateway/provider.js';
import { repositoryRoot } from '../../../helpers/source-file.js';

const folder = join(repositoryRoot, 'node_modules', 'openai');

/** Every variable of the process's environment that the installed `openai` reads, as its source names them. */
function variablesOfOpenAi(): string[] {
  const names = new Set<string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.js') || entry.parentPath.includes('/src')) continue;
    const source = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    for (const [, name] of source.matchAll(/readEnv\)?\(\s*['"]([A-Z_0-9]+)['"]/g)) names.add(name!);
    for (const [, name] of source.matchAll(/process\.env(?:\.|\[['"])([A-Z_0-9]+)/g)) names.add(name!);
  }
  return [...names].sort();
}

interface Sent {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** What a provider sends for each of its operations. */
async function everythingSent(): Promise<Sent[]> {
  const sent: Sent[] = [];
  const provider = new WexGatewayProvider({
    baseUrl: 'https://tenant.example/v1',
    apiKey: 'key-of-the-tenant',
    maxRetries: 0,
    fetch: async (url, init) => {
      sent.push({ url: String(url), headers: Object.fromEntries(new Headers(init?.headers)) });
      return Response.json({ data: [{ index: 0, embedding: [1] }], choices: [{ message: { content: 'a' } }] });
    },
  });
  await provider.generateEmbeddings(['a']);
  await provider.generateText('a');
  for await (const _ of provider.streamText('a')) break;
  await provider.health();
  await provider.close();
  return sent;
}

describe('the environment of the process', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('has variables that openai reads, or this test looks for them in the wrong way', () => {
    expect(variablesOfOpenAi()).toEqual(
      expect.arrayContaining(['OPENAI_API_KEY', 'OPENAI_BASE_URL', 'OPENAI_CUSTOM_HEADERS', 'OPENAI_ORG_ID']),
    );
  });

  it('has no effect on what the server of a tenant gets', async () => {
    const before = await everythingSent();
    expect(before).toHaveLength(4);
    for (const name of variablesOfOpenAi()) vi.stubEnv(name, `x-of-the-host: secret of ${name}`);
    vi.stubEnv('OPENAI_CUSTOM_HEADERS', 'Authorization: Bearer sk-of-the-host\nX-Internal-Token: t');
    vi.stubEnv('OPENAI_BASE_URL', 'https://somebody.else/v1');
    expect(await everythingSent()).toEqual(before);
    expect(before.map(({ headers }) => headers.authorization)).toEqual(Array(4).fill('Bearer key-of-the-tenant'));
  });
});
