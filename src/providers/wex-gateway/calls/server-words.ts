import { isRecord } from '../../../internal/validate.js';

/** What a server says about a failure: with an error status, in the body of a 200, or in an event of a stream. */
export interface ServerFailure {
  /** Undefined for a failure inside an answer that began with a status of success. */
  readonly status?: number | undefined;
  /** Codes and types, as the server spells them: `insufficient_quota`, `BadRequestError`, `429`, … */
  readonly words: readonly string[];
  /** The path of the parameter that is wrong, such as `tools[0].function`, if the server names one. */
  readonly param?: string | undefined;
  /** Its sentences. They may repeat the caller's input. */
  readonly message: string;
  /** How long to wait, if the body says so. */
  readonly retryAfterMs?: number | undefined;
  /** A web page instead of an answer of an API. */
  readonly isPage?: boolean | undefined;
}

/** Nothing that a server says about a failure is longer than this. */
const longestMessage = 4000;
const deepest = 6;

/** What servers call the fields that hold a code, a sentence, or more fields. */
const codeKeys = ['code', 'type', 'status', 'error', 'errorCode', 'error_code', 'reason', 'status_code', 'http_code'];
const messageKeys = [
  'message',
  'msg',
  'detail',
  'error',
  'errorMessage',
  'error_msg',
  'status_msg',
  'error_description',
  'raw',
];
const nestedKeys = [
  'error',
  'detail',
  'details',
  'errors',
  'innererror',
  'inner_error',
  'message',
  'base_resp',
  'metadata',
];

/** Reads the body of an answer with an error status, of whatever shape. */
export function readFailure(text: string, status: number): ServerFailure {
  const trimmed = text.trim();
  if (/^<(!doctype|html|head|body|\?xml)/i.test(trimmed)) return { status, words: [], message: '', isPage: true };
  const body = parsed(trimmed);
  return body === undefined
    ? { status, words: [], message: trimmed.slice(0, longestMessage) }
    : { status, ...collect(body) };
}

/**
 * The failure that the body of a successful answer, or an event of a stream, reports instead of what was asked for.
 *
 * @param payloadKeys - What a good answer has, such as `choices`.
 */
export function failureInside(body: unknown, payloadKeys: readonly string[]): ServerFailure | undefined {
  const value = Array.isArray(body) && body.length === 1 ? body[0] : body;
  if (!isRecord(value)) return undefined;
  const hasPayload = payloadKeys.some((key) => Array.isArray(value[key]));
  const { error, object, type, base_resp: base } = value;
  const isReported =
    (error !== undefined && error !== null && error !== '' && error !== false) ||
    object === 'error' ||
    type === 'error' ||
    (isRecord(base) && base.status_code !== 0 && base.status_code !== undefined);
  if (hasPayload ? !isReported || isEmptyRecord(error) : !isReported && !looksLikeFailure(value)) return undefined;
  return collect(value);
}

/**
 * A failure that a choice reports: some gateways pass on what came before their upstream broke, and say so only
 * there.
 */
export function failureOfChoice(choice: unknown): ServerFailure | undefined {
  if (!isRecord(choice)) return undefined;
  const { error, finish_reason: finishReason } = choice;
  if (finishReason !== 'error' && !isRecord(error)) return undefined;
  const { words, ...rest } = collect({ error });
  return { ...rest, words: words.length === 0 ? ['upstream_error'] : words };
}

/** An object without the payload that has nothing but what failures have. */
function looksLikeFailure(value: Readonly<Record<string, unknown>>): boolean {
  if (value.status === 'failure' || value.success === false) return true;
  const says = ['message', 'msg', 'detail', 'errorMessage', 'error_msg'].some((key) => value[key] !== undefined);
  return says && !['id', 'choices', 'data'].some((key) => value[key] !== undefined);
}

function isEmptyRecord(value: unknown): boolean {
  return isRecord(value) && Object.keys(value).length === 0;
}

function collect(body: unknown): Omit<ServerFailure, 'status'> {
  const words: string[] = [];
  const messages: string[] = [];
  let param: string | undefined;
  let retryAfterMs: number | undefined;
  const visit = (value: unknown, depth: number): void => {
    if (depth > deepest || words.length > 50 || messages.length > 50) return;
    if (Array.isArray(value)) {
      for (const element of value.slice(0, 10)) visit(element, depth + 1);
      return;
    }
    if (!isRecord(value)) {
      if (typeof value === 'string') messages.push(value);
      return;
    }
    for (const key of codeKeys) {
      const word = value[key];
      if (typeof word === 'number' || (typeof word === 'string' && isWord(word))) words.push(String(word));
    }
    for (const key of messageKeys) {
      const sentence = value[key];
      if (typeof sentence === 'string' && !(key === 'error' && isWord(sentence))) messages.push(sentence);
    }
    param ??= paramOf(value);
    retryAfterMs ??= durationMs(value.retryDelay ?? value.retry_delay);
    for (const key of nestedKeys) if (typeof value[key] === 'object') visit(value[key], depth + 1);
  };
  visit(body, 0);
  const message = [...new Set(messages)].join(' ').slice(0, longestMessage);
  // LiteLLM spells what it does not know `None`.
  return { words: [...new Set(words)].filter((word) => word !== 'None'), param, message, retryAfterMs };
}

/** FastAPI gives a path in `loc`, which begins with `body`. */
function paramOf({ param, loc, parameter, field }: Readonly<Record<string, unknown>>): string | undefined {
  if (Array.isArray(loc)) return loc.filter((part) => part !== 'body').join('.') || undefined;
  const named = [param, parameter, field].find((name) => typeof name === 'string' && name !== '' && name !== 'None');
  return named as string | undefined;
}

/** A code or a type rather than a sentence. */
function isWord(text: string): boolean {
  return /^[\w.-]{1,80}$/.test(text);
}

/** Google's form: `3.5s`. */
function durationMs(value: unknown): number | undefined {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)s$/.exec(value.trim()) : null;
  return match === null ? undefined : Math.ceil(Number(match[1]) * 1000);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
