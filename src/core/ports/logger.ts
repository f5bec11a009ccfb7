import { InvalidInputError } from '../../errors.js';
import { describeValue } from '../../internal/validate.js';

/**
 * Takes what the library reports and does not throw. pino, bunyan and `console` have this form; a winston logger, whose
 * methods take the message first, may be handed in as well. Without one it is silent: nothing is ever printed. No field
 * holds a key, a prompt, a text or a vector.
 */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

const levels = ['debug', 'info', 'warn', 'error'] as const;

/**
 * The host's logger, in the form that this library calls.
 *
 * @throws `InvalidInputError` unless it has the four methods.
 */
export function toLogger(logger: Logger | undefined): Logger | undefined {
  if (logger === undefined || logger === null) return undefined;
  const missing = levels.find((level) => typeof logger[level] !== 'function');
  if (missing !== undefined) {
    const came = typeof logger === 'object' ? `an object without the method \`${missing}\`` : describeValue(logger);
    throw new InvalidInputError(`Expected \`logger\` to have the methods ${levels.join(', ')}, got ${came}.`);
  }
  return isWinston(logger) ? fromWinston(logger) : logger;
}

/** What winston's loggers and their children have, and pino's, bunyan's and `console` have not. */
function isWinston(logger: object): boolean {
  const { log, transports } = logger as { readonly log?: unknown; readonly transports?: unknown };
  return typeof log === 'function' && Array.isArray(transports);
}

function fromWinston(logger: Logger): Logger {
  type Method = (message: string, fields: Readonly<Record<string, unknown>>) => void;
  const target = logger as unknown as Readonly<Record<(typeof levels)[number], Method>>;
  return {
    debug: (fields, message) => target.debug(message, fields),
    info: (fields, message) => target.info(message, fields),
    warn: (fields, message) => target.warn(message, fields),
    error: (fields, message) => target.error(message, fields),
  };
}
