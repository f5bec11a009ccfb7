import type { AiProviderErrorCode } from '../../../errors.js';
import type { ServerFailure } from './server-words.js';
import { waitInWords } from './wait-hints.js';

/** What a failure means to us: who can act, and what may be done about it. */
export interface FailureKind {
  readonly code: AiProviderErrorCode;
  /** The end of a sentence that begins with who was asked. */
  readonly says: string;
  readonly isRetryable: boolean;
  /**
   * Whether an input may be the cause, so that other inputs of the request may be fine: surely, or perhaps because
   * the server gave no reason. Undefined: no input is.
   */
  readonly blamesInput?: 'surely' | 'perhaps' | undefined;
  /** The parameter of the request that the server refuses or misses. */
  readonly parameter?: string | undefined;
}

/** One row of the table: the first whose `isMet` holds says what the failure is. */
interface Rule {
  readonly kind: FailureKind;
  isMet(seen: Seen): boolean;
}

interface Seen {
  readonly status: number;
  /** Codes and types in lower case, with blanks around each. */
  readonly words: string;
  /** Sentences in lower case. Only patterns that no input is likely to hold are looked for. */
  readonly message: string;
  readonly hasWait: boolean;
  /** A 4xx, or a failure inside an answer, whose sentences are believed. */
  readonly isRefusal: boolean;
}

/** By who can act: the account's owner, the caller, the operator of the row, or nobody but time. */
const rules: readonly Rule[] = [
  {
    kind: {
      code: 'quota_exceeded',
      says: 'refused the request because the account has no quota left',
      isRetryable: false,
    },
    isMet: ({ status, words, message, hasWait, isRefusal }) =>
      status === 402 ||
      /insufficient_(quota|balance|credits?|funds)|budget_exceeded|billing|credit(?!_?card)|exceeded_current_quota|payment_required|arrearage/.test(
        words,
      ) ||
      // A limit of requests a minute is called a quota as well; that one says how long to wait.
      (isRefusal && !hasWait && /exceeded your current quota/.test(message)) ||
      (status === 429 && /insufficient_quota/.test(message)) ||
      (isRefusal &&
        /credit balance is too low|insufficient (account )?balance|budget has been exceeded|out of credits/.test(
          message,
        )),
  },
  {
    kind: {
      code: 'input_refused',
      says: 'refused the content of the request',
      isRetryable: false,
      blamesInput: 'surely',
    },
    isMet: ({ status, words, message }) =>
      status < 500 &&
      (/content_?(filter|policy)|responsible_?ai|moderation|guardrail|safety|policy_?violation/.test(words) ||
        status === 446 ||
        (status === 403 && /flagged|moderation|content policy|usage guidelines|safety/.test(message))),
  },
  {
    kind: { code: 'rate_limited', says: 'limits the rate of requests', isRetryable: true },
    isMet: ({ status, words, message }) =>
      status === 429 ||
      (status < 500 && /rate_?limit|too_?many|throttl|resource_?exhausted/.test(words)) ||
      (status === 413 && /tokens per minute|rate limit/.test(message)),
  },
  {
    kind: { code: 'model_unavailable', says: 'does not have the model', isRetryable: false },
    isMet: ({ status, words, message, isRefusal }) =>
      status < 500 &&
      (/model_?(not_?(found|supported|available|exist)|decommissioned|unavailable)|deployment_?not_?found|(unknown|invalid|no_such)_?model|decommissioned/.test(
        words,
      ) ||
        (isRefusal &&
          status !== 401 &&
          /invalid model name|no healthy deployments|no such model|unknown model|not a valid model|\bmodel\b.{0,100}?(does not exist|not found|is not available|been (decommissioned|retired))/.test(
            message,
          ))),
  },
  {
    kind: { code: 'authentication_failed', says: 'refused the API key or its permissions', isRetryable: false },
    isMet: ({ status, words, message, isRefusal }) =>
      status === 401 ||
      status === 403 ||
      (status < 500 &&
        (/\b(invalid|expired|missing|incorrect)_(api_)?key|api_?key_?(invalid|expired)|unauthori[sz]ed|\bforbidden|auth(entication)?_?error|unauthenticated|permission_?denied|access_?denied|no_db_connection|token_not_found/.test(
          words,
        ) ||
          (isRefusal &&
            /(incorrect|invalid|missing|expired|no) api[ _-]?key|api[ _-]?key (is )?(not valid|invalid|expired|missing)/.test(
              message,
            )))),
  },
  {
    kind: { code: 'model_unavailable', says: 'does not have the model or the path', isRetryable: false },
    isMet: ({ status, words }) => status === 404 || status === 410 || (status < 500 && /not_?found/.test(words)),
  },
  {
    kind: {
      code: 'invalid_config',
      says: 'answered with a redirect, which is not followed: set its target as the base URL',
      isRetryable: false,
    },
    isMet: ({ status }) => status >= 300 && status < 400,
  },
  {
    kind: {
      code: 'input_refused',
      says: 'refused an input that is too long',
      isRetryable: false,
      blamesInput: 'surely',
    },
    isMet: ({ status, words, message, isRefusal }) =>
      isRefusal &&
      (status === 413 ||
        /context_(length|window)|string_above_max|too_?long|max_?tokens_?exceeded/.test(words) ||
        /context (length|window)|must have less than \d+ tokens|(input|prompt|text)s? (is|are) too long|maximum input length/.test(
          message,
        )),
  },
  {
    kind: { code: 'unavailable', says: 'failed to answer', isRetryable: true },
    // 424: text-embeddings-inference's backend is down. 425: too early. 498: Groq has no capacity left.
    isMet: ({ status }) => [408, 409, 424, 425, 498, 499].includes(status) || status >= 500,
  },
  {
    kind: {
      code: 'invalid_config',
      says: 'does not take such requests at this address: look at the base URL',
      isRetryable: false,
    },
    isMet: ({ status }) => [405, 406, 407, 411, 415, 421, 426, 428, 431, 451].includes(status),
  },
];

/** Refused, and the server does not say whose fault it is. */
const unexplained: FailureKind = {
  code: 'invalid_config',
  says: 'refused the request without a reason that is known here',
  isRetryable: false,
  blamesInput: 'perhaps',
};

/** The names of the parameters that carry the caller's input. */
const inputParameters = /^\W*(input|inputs|messages|prompt|content|texts?)\b/;

/**
 * Who can act on a failure.
 *
 * @param sent - The names of the parameters that the request had. Of a message, only these are believed to be
 * parameters.
 */
export function kindOfFailure(failure: ServerFailure, sent: readonly string[] = []): FailureKind {
  const words = ` ${failure.words.join(' ').toLowerCase()} `;
  const status = failure.status ?? statusOf(failure.words, words);
  const message = failure.message.slice(0, 1000).toLowerCase();
  const hasWait = failure.retryAfterMs !== undefined || waitInWords(message) !== undefined;
  const isRefusal = failure.status === undefined || (status >= 400 && status < 500);
  const rule = rules.find(({ isMet }) => isMet({ status, words, message, hasWait, isRefusal }));
  if (rule !== undefined) return rule.kind;
  const { param } = failure;
  if (param !== undefined && inputParameters.test(param)) return inputRefused;
  const parameter = parameterOf(failure, message, sent);
  if (parameter !== undefined) return parameterRefused(parameter);
  if (/validation_?failed|"?status"?: ?"?failure/.test(words) || words.includes(' failure ')) return unexplainedConfig;
  return unexplained;
}

const inputRefused: FailureKind = {
  code: 'input_refused',
  says: 'refused the input',
  isRetryable: false,
  blamesInput: 'surely',
};

/** Portkey's own refusals: no request reached a model. */
const unexplainedConfig: FailureKind = {
  code: 'invalid_config',
  says: 'refused the request before it reached a model: look at the headers and settings of the row',
  isRetryable: false,
};

function parameterRefused(parameter: string): FailureKind {
  return { code: 'invalid_config', says: `refused the parameter \`${parameter}\``, isRetryable: false, parameter };
}

/** The name of the parameter that the failure is about, without what is below it. */
function parameterOf({ param, words }: ServerFailure, message: string, sent: readonly string[]): string | undefined {
  const named = param === undefined ? undefined : /^\W*(\w+)/.exec(param)?.[1];
  if (named !== undefined && (sent.includes(named) || knownParameters.has(named))) return named;
  const inMessage = [...sent, 'input_type'].find((name) => new RegExp(`\\b${name}\\b`).test(message));
  if (inMessage !== undefined) return inMessage;
  // LiteLLM refuses what its list for a model lacks, at times without saying what.
  return /unsupportedparamserror/.test(message) || words.includes('UnsupportedParamsError') ? 'unknown' : undefined;
}

/** Of a `param`, also these are believed: a gateway may name what it adds itself. */
const knownParameters: ReadonlySet<string> = new Set([
  'model',
  'dimensions',
  'encoding_format',
  'temperature',
  'max_tokens',
  'max_completion_tokens',
  'stop',
  'stream',
  'stream_options',
  'tools',
  'tool_choice',
  'response_format',
  'input_type',
  'reasoning_content',
]);

/** The status that a failure inside an answer would have had on its own: some servers give it as a code. */
function statusOf(given: readonly string[], words: string): number {
  const number = given.map(Number).find((code) => Number.isInteger(code) && code >= 400 && code < 600);
  if (number !== undefined) return number;
  if (/rate_?limit|too_?many/.test(words)) return 429;
  if (/authentication|permission|api_?key|unauthorized|forbidden/.test(words)) return 401;
  if (/not_?found/.test(words)) return 404;
  return /invalid_?request|bad_?request|context_length|content_?(filter|policy)/.test(words) ? 400 : 500;
}
