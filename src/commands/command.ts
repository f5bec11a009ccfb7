/** What a command reads and writes, so that a test needs no terminal. */
export interface CommandContext {
  /** What follows the command's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** To standard output, with a line break. */
  print(text: string): void;
  /** To standard error, with a line break. */
  printError(text: string): void;
  /** Everything on standard input. */
  readInput(): Promise<string>;
}

/** The exit codes of every command. */
export const exitCodes = {
  done: 0,
  /** It ran, and something is wrong: an error, or a check that failed. */
  failed: 1,
  /** It was called wrongly, and did nothing. */
  misused: 2,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A sub-command of `pulse-ai`, each in a file of its own that is loaded when it is called. */
export interface Command {
  /** Shown by `--help`, and with the error if it is called wrongly. */
  readonly usage: string;
  run(context: CommandContext): Promise<ExitCode>;
}

/** Thrown by a command that was called wrongly: the message and the usage are printed. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
