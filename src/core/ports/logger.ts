/**
 * Where the library reports what it does not throw. pino, winston, bunyan and `console` satisfy it. Without one it is silent:
 * nothing is ever printed. No field holds a key, a prompt, a text or a vector.
 */
export interface Logger {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void;
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}
