import { describe, expect, it } from 'vitest';
import type { ProviderError } from '#src/errors.js';
import { isAboutEncoding, kindOfFailure, type ServerFailure } from '#src/providers/wex-gateway/calls/server-failure.js';
import { failureInBody, toProviderError } from '#src/providers/wex-gateway/calls/to-provider-error.js';

describe('kindOfFailure', () => {
  it.each<[string, ServerFailure, string]>([
    ["Azure's content filter", { status: 400, code: 'content_filter', param: 'prompt' }, 'input_refused'],
    ['a policy of LiteLLM', { status: 400, type: 'ContentPolicyViolationError', param: 'None' }, 'input_refused'],
    ['a guardrail behind a 403', { status: 403, code: 'guardrail_violation' }, 'input_refused'],
    ['a 400 of LiteLLM', { status: 400, code: '400', type: 'None', param: 'None' }, 'input_refused'],
    ['an input that is too long', { status: 400, param: 'input[3]' }, 'input_refused'],
    ['messages', { status: 422, param: '$.messages' }, 'input_refused'],
    ['a parameter', { status: 400, param: 'dimensions' }, 'invalid_config'],
    ['a part of a parameter', { status: 400, param: 'tools[0].function.parameters' }, 'invalid_config'],
    ['a parameter in JSON path', { status: 422, param: '$.encoding_format' }, 'invalid_config'],
    ['no quota', { status: 429, code: 'insufficient_quota' }, 'quota_exceeded'],
    ['no quota upstream', { status: 429, message: "{'code': 'insufficient_quota'}" }, 'quota_exceeded'],
    ['no credit', { status: 403, type: 'insufficient_credits' }, 'quota_exceeded'],
    ['a text about quota', { status: 400, message: 'insufficient_quota' }, 'input_refused'],
    ['a credit card in a text', { status: 400, code: 'credit_card_detected' }, 'input_refused'],
    ['a redirect', { status: 302 }, 'invalid_config'],
    ['an error inside of a stream', { code: null, type: 'server_error' }, 'unavailable'],
    ['a numeric code inside of a stream', { code: 429 }, 'rate_limited'],
    ['a rate limit inside of a stream', { type: 'rate_limit_exceeded' }, 'rate_limited'],
    ['no quota inside of a stream', { code: 'insufficient_quota' }, 'quota_exceeded'],
    ['a bad request inside of a stream', { code: 400, type: 'BadRequestError' }, 'input_refused'],
    ['a filter inside of a stream', { code: 'content_filter' }, 'input_refused'],
    ['a refused key inside of a stream', { code: 'invalid_api_key' }, 'authentication_failed'],
    ['no such model inside of a stream', { code: 'model_not_found' }, 'model_unavailable'],
  ])('%s', (_, failure, code) => {
    expect(kindOfFailure(failure).code).toBe(code);
  });
});

describe('isAboutEncoding', () => {
  it('believes the parameter before the message, which may show a text', () => {
    expect(isAboutEncoding({ status: 400, param: 'encoding_format', message: 'bad' })).toBe(true);
    expect(isAboutEncoding({ status: 422, param: null, message: 'base64 is not supported' })).toBe(true);
    expect(isAboutEncoding({ status: 400, param: 'dimensions', message: 'not with this encoding' })).toBe(false);
    expect(isAboutEncoding({ status: 500, param: null, message: 'encoding' })).toBe(false);
  });
});

describe('toProviderError', () => {
  const endpoint = { id: 'openai:3', host: 'gateway.example', secrets: ['quota', 'secret-of-a-header'] };
  const told = (error: object, headers = {}) =>
    toProviderError({ error, headers: new Headers(headers), ...error }, endpoint, 2);

  it('classifies before it leaves out what looks like a key', () => {
    expect(told({ code: 'insufficient_quota' })).toMatchObject({ code: 'quota_exceeded', status: 200, attempts: 2 });
    expect(told({ code: 'insufficient_quota' }).message).not.toContain('quota)');
  });

  it('shows no secret, whichever header it belongs to', () => {
    const error = told({ status: 400, code: 'secret_x', param: 'secret' }, { 'x-request-id': 'secret-of-a-header' });
    expect(error.message).toBe('openai:3 at gateway.example refused the request (HTTP 400, secret_x).');
    expect(error).toMatchObject({ requestId: undefined });
  });

  it('reads a failure that stands in the body of a good answer', () => {
    const failure = failureInBody({ error: { code: 429, message: 'slow down' } }, new Headers({ 'retry-after': '2' }));
    expect(toProviderError(failure, endpoint, 1)).toMatchObject({ code: 'rate_limited', retryAfterMs: 2000 });
    const codeOf = (body: object) =>
      (toProviderError(failureInBody(body, new Headers()), endpoint, 1) as ProviderError).code;
    expect(codeOf({ error: 'the model is loading' })).toBe('unavailable');
    expect(codeOf({ object: 'error', code: 404, message: 'no such model' })).toBe('model_unavailable');
    expect(failureInBody({ data: [], error: null }, new Headers())).toBeUndefined();
  });
});
