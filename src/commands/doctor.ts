import { parseArgs } from 'node:util';
import { type Command, exitCodes } from './command.js';
import { type Check, checkGateway, checkNode, checkPackages, checkQdrant, checkThreads } from './doctor-checks.js';
import { checkDatabase } from './doctor-database.js';

const usage = `Checks what a host of @pulse/ai-providers needs, and says what to do about what is wrong. Changes nothing.

  pulse-ai doctor [--call] [--json] [--key-env NAME]

--call     also makes one short call with each integration and with the gateway of the environment, which is paid for
--json     prints { isHealthy, checks: [{ name, status, detail }] }
--key-env  the variable with the encryption key of \`integrations.password\`; SECRET_KEY by default

Looked at if they are set: DATABASE_URL; QDRANT_HOST, QDRANT_PORT, QDRANT_API_KEY; WEX_AI_GATEWAY_BASE_URL,
WEX_AI_GATEWAY_API_KEY. Exit code 1 if a check found a problem; not for a warning.`;

const marks = { ok: 'ok      ', warning: 'warning ', problem: 'PROBLEM ', skipped: 'skipped ' } as const;

export const command: Command = {
  usage,
  async run({ args, env, print }) {
    const { values } = parseArgs({
      args: [...args],
      options: {
        call: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        'key-env': { type: 'string', default: 'SECRET_KEY' },
      },
    });
    const given = { env, keyName: values['key-env'], makesCalls: values.call };
    const checks: Check[] = [];
    const steps = [checkNode, checkPackages, checkThreads, checkDatabase, checkQdrant, checkGateway];
    for (const step of steps) {
      for (const check of await step(given)) {
        checks.push(check);
        if (!values.json) print(`${marks[check.status]}${check.name}: ${check.detail}`);
      }
    }
    const isHealthy = checks.every(({ status }) => status !== 'problem');
    if (values.json) print(JSON.stringify({ isHealthy, checks }, undefined, 2));
    else print(isHealthy ? '\nNothing is wrong.' : '\nSomething is wrong: see the lines that begin with PROBLEM.');
    return isHealthy ? exitCodes.done : exitCodes.failed;
  },
};
