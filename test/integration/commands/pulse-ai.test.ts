import { describe, expect, it } from 'vitest';
import type { CommandContext } from '#src/commands/command.js';
import { runCommand } from '#src/commands/run-command.js';
import { FernetCipher } from '#src/credential-ciphers/fernet/fernet-cipher.js';
import { FakeGateway } from '#src/testing/fake-gateway.js';
import { startPostgres } from '../../helpers/postgres.js';

async function run(args: string, { env = {}, input = '' }: { env?: CommandContext['env']; input?: string } = {}) {
  const lines: string[] = [];
  const errors: string[] = [];
  const code = await runCommand({
    args: args.split(' ').filter((arg) => arg !== ''),
    env,
    print: (text) => lines.push(text),
    printError: (text) => errors.push(text),
    readInput: async () => input,
  });
  return { code, output: lines.join('\n'), errors: errors.join('\n') };
}

describe('pulse-ai', () => {
  it('lists its commands, and exits with 2 if it is called wrongly', async () => {
    expect(await run('--help')).toMatchObject({ code: 0, output: expect.stringContaining('doctor') });
    expect(await run('')).toMatchObject({ code: 2, errors: expect.stringContaining('doctor') });
    expect(await run('docter')).toMatchObject({ code: 2, errors: expect.stringContaining('mean `doctor`') });
    expect(await run('toString')).toMatchObject({ code: 2 });
    expect(await run('doctor --jsn')).toMatchObject({ code: 2, errors: expect.stringContaining('--json') });
    expect(await run('encrypt --help')).toMatchObject({ code: 0, output: expect.stringContaining('--generate-key') });
  });
});

describe('pulse-ai encrypt', () => {
  it('makes a key and a token that the key decrypts', async () => {
    const key = (await run('encrypt --generate-key')).output;
    const { code, output } = await run('encrypt --key-env MY_KEY', { env: { MY_KEY: key }, input: 'an API key\n' });
    expect(code).toBe(0);
    expect(new FernetCipher(key).decrypt(output)).toBe('an API key');
  });

  it('says what is missing, and never shows the key', async () => {
    expect(await run('encrypt')).toMatchObject({ code: 2, errors: expect.stringContaining('SECRET_KEY') });
    const key = FernetCipher.generateKey();
    expect(await run('encrypt', { env: { SECRET_KEY: key } })).toMatchObject({ code: 2 });
    const broken = await run('encrypt', { env: { SECRET_KEY: 'not-a-key' }, input: 'an API key' });
    expect(broken).toMatchObject({ code: 1, errors: expect.stringContaining('(invalid_input)') });
    expect(broken.errors).not.toContain('not-a-key');
  });
});

describe('pulse-ai doctor', () => {
  it('finds nothing wrong here, as text and as JSON', async () => {
    const text = await run('doctor');
    expect(text).toMatchObject({ code: 0, output: expect.stringContaining('Nothing is wrong.') });
    const { isHealthy, checks } = JSON.parse((await run('doctor --json')).output) as {
      isHealthy: boolean;
      checks: { name: string; status: string; detail: string }[];
    };
    expect(isHealthy).toBe(true);
    expect(checks).toContainEqual(
      expect.objectContaining({
        name: 'packages for the local model',
        status: 'ok',
        detail: expect.stringMatching(/onnx/),
      }),
    );
    expect(checks).toContainEqual(expect.objectContaining({ name: 'database', status: 'skipped' }));
  });

  it('asks the gateway and Qdrant of the environment, and exits with 1 for a problem', async () => {
    await using gateway = await FakeGateway.start({ apiKey: 'right' });
    const env = { WEX_AI_GATEWAY_BASE_URL: gateway.baseUrl, WEX_AI_GATEWAY_API_KEY: 'right' };
    const works = await run('doctor --call', { env });
    expect(works).toMatchObject({
      code: 0,
      output: expect.stringMatching(/gateway of the environment: .* dimensions/),
    });
    const wrong = await run('doctor', { env: { ...env, WEX_AI_GATEWAY_API_KEY: 'wrong-key' } });
    expect(wrong).toMatchObject({ code: 1, output: expect.stringContaining('PROBLEM gateway of the environment') });
    expect(wrong.output).not.toContain('wrong-key');
    const noQdrant = await run('doctor', { env: { QDRANT_HOST: '127.0.0.1', QDRANT_PORT: '1' } });
    expect(noQdrant).toMatchObject({ code: 1, output: expect.stringContaining('PROBLEM Qdrant') });
    const noDatabase = await run('doctor', { env: { DATABASE_URL: 'postgres://127.0.0.1:1/x' } });
    expect(noDatabase).toMatchObject({ code: 1, output: expect.stringContaining('PROBLEM table integrations') });
  });

  it('reads the tables, and says which row cannot be used and why', { timeout: 60_000 }, async () => {
    const postgres = await startPostgres();
    try {
      const pool = postgres.openPool();
      const key = FernetCipher.generateKey();
      const password = new FernetCipher(key).encrypt('a-key');
      const insert = `insert into integrations (tenant_id, provider, type, base_url, password, ai_model_config, active)
        values (7, 'wex_ai_gateway', 'ai_provider', $1, $2, $3, true)`;
      await pool.query(insert, ['https://gateway.test/v1', password, '{}']);
      await pool.query(insert, ['https://gateway.test/v1', 'sk-plain', '{}']);
      await pool.end();
      const env = { DATABASE_URL: postgres.connectionString, SECRET_KEY: key };
      const { code, output } = await run('doctor', { env });
      expect(code).toBe(1);
      expect(output).toMatch(/ok +table ai_usage_trackings/);
      expect(output).toMatch(/ok +integration 1 /);
      expect(output).toMatch(/PROBLEM integration 2 \(wex_ai_gateway, tenant 7\): .*`password`/);
      expect(output).not.toContain('sk-plain');
    } finally {
      await postgres.remove();
    }
  });
});
