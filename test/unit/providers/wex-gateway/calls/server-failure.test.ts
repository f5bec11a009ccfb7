import { describe, expect, it } from 'vitest';
import type { ProviderError } from '#src/errors.js';
import { kindOfFailure } from '#src/providers/wex-gateway/calls/server-failure.js';
import { failureInside, readFailure, type ServerFailure } from '#src/providers/wex-gateway/calls/server-words.js';
import { ReportedFailure, toProviderError } from '#src/providers/wex-gateway/calls/to-provider-error.js';

interface Told {
  readonly status?: number;
  readonly code?: unknown;
  readonly type?: unknown;
  readonly param?: unknown;
  readonly message?: string;
}

/** As the server would have sent it: with an error status, or inside an answer. */
function failureOf({ status, ...error }: Told): ServerFailure {
  if (status !== undefined) return readFailure(JSON.stringify({ error }), status);
  return failureInside({ error }, ['choices']) as ServerFailure;
}

describe('kindOfFailure', () => {
  it.each<[string, Told, string]>([
    ["Azure's content filter", { status: 400, code: 'content_filter', param: 'prompt' }, 'input_refused'],
    ['a policy of LiteLLM', { status: 400, type: 'ContentPolicyViolationError', param: 'None' }, 'input_refused'],
    ['a guardrail behind a 403', { status: 403, code: 'guardrail_violation' }, 'input_refused'],
    ['a refusal without a reason', { status: 400, code: '400', type: 'None', param: 'None' }, 'invalid_config'],
    ['an input that is too long', { status: 400, param: 'input[3]' }, 'input_refused'],
    ['messages', { status: 422, param: '$.messages' }, 'input_refused'],
    ['a context that is too long', { status: 400, code: 'context_length_exceeded' }, 'input_refused'],
    ['a parameter', { status: 400, param: 'dimensions' }, 'invalid_config'],
    ['a part of a parameter', { status: 400, param: 'tools[0].function.parameters' }, 'invalid_config'],
    ['a parameter in JSON path', { status: 422, param: '$.encoding_format' }, 'invalid_config'],
    ['no quota', { status: 429, code: 'insufficient_quota' }, 'quota_exceeded'],
    ['no quota upstream', { status: 429, message: "{'code': 'insufficient_quota'}" }, 'quota_exceeded'],
    ['no quota in words', { status: 429, message: 'You exceeded your current quota.' }, 'quota_exceeded'],
    ['a quota a minute', { status: 429, message: 'You exceeded your current quota. Retry in 2s.' }, 'rate_limited'],
    ['no credit', { status: 403, type: 'insufficient_credits' }, 'quota_exceeded'],
    ['a text about quota', { status: 400, message: 'insufficient_quota' }, 'invalid_config'],
    ['a credit card in a text', { status: 400, code: 'credit_card_detected' }, 'invalid_config'],
    ['an extra field', { status: 422, type: 'extra_forbidden', param: 'stream_options' }, 'invalid_config'],
    ['a redirect', { status: 302 }, 'invalid_config'],
    ['a method that is not allowed', { status: 405 }, 'invalid_config'],
    ['a backend that is down', { status: 424, type: 'Backend' }, 'unavailable'],
    ['an error inside of a stream', { code: null, type: 'server_error' }, 'unavailable'],
    ['a numeric code inside of a stream', { code: 429 }, 'rate_limited'],
    ['a rate limit inside of a stream', { type: 'rate_limit_exceeded' }, 'rate_limited'],
    ['no quota inside of a stream', { code: 'insufficient_quota' }, 'quota_exceeded'],
    ['a bad request inside of a stream', { code: 400, type: 'BadRequestError' }, 'invalid_config'],
    ['a filter inside of a stream', { code: 'content_filter' }, 'input_refused'],
    ['a refused key inside of a stream', { code: 'invalid_api_key' }, 'authentication_failed'],
    ['no such model inside of a stream', { code: 'model_not_found' }, 'model_unavailable'],
  ])('%s', (_, failure, code) => {
    expect(kindOfFailure(failureOf(failure)).code).toBe(code);
  });

  it('blames an input only perhaps if the server gives no reason', () => {
    expect(kindOfFailure(failureOf({ status: 400 })).blamesInput).toBe('perhaps');
    expect(kindOfFailure(failureOf({ status: 400, param: 'input' })).blamesInput).toBe('surely');
    expect(kindOfFailure(failureOf({ status: 401 })).blamesInput).toBeUndefined();
  });

  it('believes the parameter before the message, which may show a text', () => {
    const sent = ['encoding_format', 'dimensions'];
    const parameterOf = (told: Told) => kindOfFailure(failureOf(told), sent).parameter;
    expect(parameterOf({ status: 400, param: 'encoding_format', message: 'bad dimensions' })).toBe('encoding_format');
    expect(parameterOf({ status: 422, message: 'does not support changing output dimensions' })).toBe('dimensions');
    expect(parameterOf({ status: 400, message: 'no temperature here' })).toBeUndefined();
  });
});

describe('readFailure', () => {
  it.each<[string, string, Partial<ServerFailure>]>([
    ['an error of OpenAI', '{"error":{"code":"x_y","message":"words"}}', { words: ['x_y'], message: 'words' }],
    ['a string', '{"error":"Incorrect API key provided"}', { message: 'Incorrect API key provided' }],
    ['a list', '[{"error":{"code":400,"status":"INVALID"}}]', { words: ['400', 'INVALID'] }],
    ['FastAPI', '{"detail":[{"loc":["body","a","b"],"msg":"no","type":"extra"}]}', { param: 'a.b', words: ['extra'] }],
    ['a detail in words', '{"detail":"Not Found"}', { message: 'Not Found' }],
    ['a body of its own', '{"code":1,"message":"words"}', { words: ['1'], message: 'words' }],
    ['a wait in the body', '{"error":{"details":[{"retryDelay":"1.5s"}]}}', { retryAfterMs: 1500 }],
    ['a page', '<!DOCTYPE html><html></html>', { isPage: true, message: '' }],
    ['plain words', 'upstream connect error', { message: 'upstream connect error' }],
    ['nothing', '', { message: '', words: [] }],
  ])('reads %s', (_, body, failure) => {
    expect(readFailure(body, 400)).toMatchObject({ status: 400, ...failure });
  });

  it('reads what nests without end no further than is of use', () => {
    let body: object = { message: 'deep' };
    for (let depth = 0; depth < 1000; depth++) body = { error: body };
    expect(readFailure(JSON.stringify(body), 400)).toMatchObject({ message: '' });
  });
});

describe('toProviderError', () => {
  const endpoint = {
    id: 'openai:3',
    host: 'gateway.example',
    basePath: '/v1',
    secrets: ['quota', 'secret-of-a-header'],
  };
  const target = { model: 'm', path: '/embeddings', parameters: [], inputs: ['a private sentence of the caller'] };
  const reported = (told: Told, headers = {}, more = {}) =>
    toProviderError(
      new ReportedFailure(failureOf(told), new Headers(headers), target),
      { ...endpoint, ...more },
      2,
    ) as ProviderError;

  it('classifies before it leaves out what looks like a key', () => {
    expect(reported({ code: 'insufficient_quota' })).toMatchObject({
      code: 'quota_exceeded',
      status: 200,
      attempts: 2,
    });
    expect(reported({ code: 'insufficient_quota' }).message).not.toContain('quota)');
  });

  it('names the model, the path and the status, and shows no secret, whichever header it belongs to', () => {
    const error = reported(
      { status: 400, code: 'secret_x', param: 'secret' },
      { 'x-request-id': 'secret-of-a-header' },
    );
    expect(error.message).toContain('(model m, path /v1/embeddings, HTTP 400, secret_x)');
    expect(error).toMatchObject({ requestId: undefined });
    expect(error.message).not.toContain('header');
  });

  it("keeps the server's words only if the host asked for it, without secrets and inputs", () => {
    const told = {
      status: 400,
      message: 'Bad text: a private sentence of the caller, key secret-of-a-header, batch of 3',
    };
    expect(reported(told)).not.toHaveProperty('serverWords');
    const { serverWords } = reported(told, {}, { keepsServerWords: true });
    expect(serverWords).toContain('batch of 3');
    expect(serverWords).not.toMatch(/private sentence|secret-of/);
  });

  it('reads a failure in the body of a good answer', () => {
    const failure = failureInside({ error: { code: 429, message: 'slow down' } }, ['choices']) as ServerFailure;
    const error = toProviderError(
      new ReportedFailure(failure, new Headers({ 'retry-after': '2' }), target),
      endpoint,
      1,
    );
    expect(error).toMatchObject({ code: 'rate_limited', retryAfterMs: 2000 });
    const codeOf = (body: object) => kindOfFailure(failureInside(body, ['choices']) as ServerFailure).code;
    expect(codeOf({ error: 'the model is loading' })).toBe('unavailable');
    expect(codeOf({ object: 'error', code: 404, message: 'no such model' })).toBe('model_unavailable');
    expect(codeOf({ base_resp: { status_code: 1008, status_msg: 'insufficient balance' } })).toBe('quota_exceeded');
    expect(failureInside({ data: [], error: null }, ['data'])).toBeUndefined();
    expect(failureInside({ choices: [], error: {} }, ['choices'])).toBeUndefined();
  });
});
