import { isAiProviderError } from '../errors.js';
import { suggestKey } from '../internal/known-keys.js';
import { type Command, type CommandContext, type ExitCode, exitCodes, UsageError } from './command.js';

interface Entry {
  readonly summary: string;
  load(): Promise<{ readonly command: Command }>;
}

/** Every sub-command; a new one is a file here and a line in this table. */
const commands: Readonly<Record<string, Entry>> = {
  'copy-vectors': {
    summary: 'copies all vectors from one store to another and verifies the copy',
    load: () => import('./copy-vectors.js'),
  },
  doctor: {
    summary: 'checks the packages, threads, database, keys and servers that a host needs',
    load: () => import('./doctor.js'),
  },
  encrypt: {
    summary: 'makes a key, or encrypts an API key for `integrations.password`',
    load: () => import('./encrypt.js'),
  },
  usage: {
    summary: 'shows what was used, paid and saved, as a table, a page, Prometheus text or JSON',
    load: () => import('./usage.js'),
  },
};

const overview = [
  'Usage: pulse-ai <command> [options]',
  '',
  ...Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`),
  '',
  'pulse-ai <command> --help shows the options of a command.',
  `Exit codes: ${exitCodes.done} done, ${exitCodes.failed} something is wrong, ${exitCodes.misused} called wrongly.`,
].join('\n');

/** Runs the sub-command that the first argument names. Never throws: what goes wrong is printed. */
export async function runCommand(context: CommandContext): Promise<ExitCode> {
  const [name, ...args] = context.args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? context.printError : context.print)(overview);
    return name === undefined ? exitCodes.misused : exitCodes.done;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    context.printError(`Unknown command ${name}.${suggestKey(name, Object.keys(commands))}\n\n${overview}`);
    return exitCodes.misused;
  }
  const { command } = await entry.load();
  if (args.includes('--help') || args.includes('-h')) {
    context.print(command.usage);
    return exitCodes.done;
  }
  return runLoaded(command, { ...context, args });
}

async function runLoaded(command: Command, context: CommandContext): Promise<ExitCode> {
  try {
    return await command.run(context);
  } catch (error) {
    const isMisuse =
      error instanceof UsageError || /^ERR_PARSE_ARGS/.test((error as NodeJS.ErrnoException)?.code ?? '');
    if (isMisuse) {
      context.printError(`${(error as Error).message}\n\n${command.usage}`);
      return exitCodes.misused;
    }
    context.printError(isAiProviderError(error) ? `${error.message} (${error.code})` : String(error));
    return exitCodes.failed;
  }
}
