import { parseArgs } from 'node:util';
import { FernetCipher } from '../credential-ciphers/fernet/fernet-cipher.js';
import { type Command, type ExitCode, exitCodes, UsageError } from './command.js';

const usage = `Encrypts an API key for \`integrations.password\`, as a Fernet token.

  pulse-ai encrypt --generate-key            prints a new encryption key; keep it like a password
  echo "$API_KEY" | pulse-ai encrypt         prints the token for the API key on standard input
  pulse-ai encrypt --key-env NAME            takes the encryption key from another variable than SECRET_KEY

The API key is read from standard input, so that it is neither in the shell's history nor in the list of processes.`;

export const command: Command = {
  usage,
  async run({ args, env, print, readInput }): Promise<ExitCode> {
    const { values } = parseArgs({
      args: [...args],
      options: { 'generate-key': { type: 'boolean' }, 'key-env': { type: 'string', default: 'SECRET_KEY' } },
    });
    if (values['generate-key'] === true) {
      print(FernetCipher.generateKey());
      return exitCodes.done;
    }
    const name = values['key-env'];
    const key = env[name];
    if (!key)
      throw new UsageError(`Expected the encryption key in ${name}. Make one with: pulse-ai encrypt --generate-key`);
    const cipher = new FernetCipher(key);
    const apiKey = (await readInput()).trim();
    if (apiKey === '') throw new UsageError('Expected the API key on standard input, got nothing.');
    print(cipher.encrypt(apiKey));
    return exitCodes.done;
  },
};
