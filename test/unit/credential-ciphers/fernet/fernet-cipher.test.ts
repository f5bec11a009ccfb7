import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FernetCipher } from '#src/credential-ciphers/fernet/fernet-cipher.js';
import { createToken, parseKey } from '#src/credential-ciphers/fernet/fernet-token.js';
import { AiProviderError, InvalidInputError } from '#src/errors.js';
import generate from '../../../fixtures/fernet/generate.json' with { type: 'json' };
import invalid from '../../../fixtures/fernet/invalid.json' with { type: 'json' };
import verify from '../../../fixtures/fernet/verify.json' with { type: 'json' };

const newKey = () => FernetCipher.generateKey();

function errorOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

afterEach(() => {
  vi.useRealTimers();
});

describe("the specification's vectors", () => {
  it.each(generate)('generate: $src', ({ secret, src, now, iv, token }) => {
    const timestamp = Date.parse(now) / 1000;
    expect(createToken(Buffer.from(src), parseKey(secret)!, timestamp, Uint8Array.from(iv))).toBe(token);
  });

  it.each(verify)('verify: $src', ({ secret, src, now, ttl_sec, token }) => {
    vi.useFakeTimers({ now: Date.parse(now) });
    const cipher = new FernetCipher(secret);
    expect(cipher.decrypt(token, { maximumAgeSeconds: ttl_sec })).toBe(src);
    expect(cipher.decrypt(token)).toBe(src);
  });

  it.each(invalid)('invalid: $desc', ({ secret, now, ttl_sec, token }) => {
    vi.useFakeTimers({ now: Date.parse(now) });
    const error = errorOf(() => new FernetCipher(secret).decrypt(token, { maximumAgeSeconds: ttl_sec }));
    expect(error).toBeInstanceOf(AiProviderError);
    expect(error).toMatchObject({ code: 'credential_invalid', isRetryable: false });
    expect(String(error)).not.toContain(token);
    expect(String(error)).not.toContain(secret);
  });

  it('has invalid vectors that differ in what is wrong', () => {
    const messages = invalid.map(({ secret, now, ttl_sec, token }) => {
      vi.useFakeTimers({ now: Date.parse(now) });
      return String(errorOf(() => new FernetCipher(secret).decrypt(token, { maximumAgeSeconds: ttl_sec })));
    });
    expect(messages.filter((message) => message.includes('signature'))).toHaveLength(1);
    expect(messages.filter((message) => message.includes('padding'))).toHaveLength(2);
    expect(messages.filter((message) => message.includes('expected a Fernet token'))).toHaveLength(3);
    expect(messages.filter((message) => message.includes('older than 60 s'))).toHaveLength(1);
    expect(messages.filter((message) => message.includes('future'))).toHaveLength(1);
  });
});

describe('FernetCipher', () => {
  it('reads back any text', () => {
    const cipher = new FernetCipher(newKey());
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const token = cipher.encrypt(text);
        expect(token).toMatch(/^gAAAAA[A-Za-z0-9_-]+={0,2}$/);
        expect(cipher.decrypt(token)).toBe(text);
      }),
    );
  });

  it('makes keys of the standard form, each once', () => {
    expect(newKey()).toMatch(/^[A-Za-z0-9_-]{43}=$/);
    expect(newKey()).not.toBe(newKey());
  });

  it('never makes the same token twice', () => {
    const cipher = new FernetCipher(newKey());
    expect(cipher.encrypt('key')).not.toBe(cipher.encrypt('key'));
  });

  it('refuses a token with any one character changed, added or removed', () => {
    const cipher = new FernetCipher(newKey());
    const token = cipher.encrypt('an API key of some length');
    for (let index = 0; index < token.length; index++) {
      const others = [
        token[index] === 'A' ? 'B' : 'A',
        '',
        '=',
        ' ',
        '+',
        '/',
        '%',
        '\n',
        `${token[index]}${token[index]}`,
      ];
      for (const other of others) {
        const changed = token.slice(0, index) + other + token.slice(index + 1);
        if (changed === token) continue;
        expect(
          errorOf(() => cipher.decrypt(changed)),
          `character ${index}`,
        ).toMatchObject({ code: 'credential_invalid' });
      }
    }
  });

  it('refuses whatever is not a token, and says so without showing it', () => {
    const cipher = new FernetCipher(newKey());
    fc.assert(
      fc.property(fc.oneof(fc.string({ minLength: 20 }), fc.base64String({ minLength: 100 })), (value) => {
        const error = errorOf(() => cipher.decrypt(value));
        expect(error).toMatchObject({ code: 'credential_invalid' });
        expect(String(error)).not.toContain(value);
      }),
    );
    for (const value of ['', 'sk-plain-text-key', null, undefined, 7]) {
      expect(errorOf(() => cipher.decrypt(value as string))).toMatchObject({ code: 'credential_invalid' });
    }
  });

  it('refuses a timestamp that no clock can show', () => {
    const key = newKey();
    const token = createToken(Buffer.from('text'), parseKey(key)!, Number.MAX_SAFE_INTEGER, randomBytes(16));
    expect(new FernetCipher(key).decrypt(token)).toBe('text');
    expect(errorOf(() => new FernetCipher(key).decrypt(token, { maximumAgeSeconds: 60 }))).toMatchObject({
      code: 'credential_invalid',
    });
  });

  it('decrypts with any of several keys and encrypts with the first', () => {
    const [first, second, third] = [newKey(), newKey(), newKey()];
    const cipher = new FernetCipher([first, second]);
    expect(cipher.decrypt(new FernetCipher(second).encrypt('text'))).toBe('text');
    expect(new FernetCipher(first).decrypt(cipher.encrypt('text'))).toBe('text');
    const error = errorOf(() => cipher.decrypt(new FernetCipher(third).encrypt('text')));
    expect(error).toMatchObject({ code: 'credential_invalid' });
    expect(String(error)).toContain('any of the 2 keys');
  });

  it('rotates to the first key without making the token younger', () => {
    const [first, second] = [newKey(), newKey()];
    vi.useFakeTimers({ now: Date.parse('2026-01-01') });
    const old = new FernetCipher(second).encrypt('text');
    vi.setSystemTime(Date.parse('2026-01-02'));
    const rotated = new FernetCipher([first, second]).rotate(old);
    expect(new FernetCipher(first).decrypt(rotated)).toBe('text');
    expect(errorOf(() => new FernetCipher(first).decrypt(rotated, { maximumAgeSeconds: 3600 }))).toMatchObject({
      code: 'credential_invalid',
    });
  });

  it.each([
    ['no keys', []],
    ['an empty key', ''],
    ['a short key', Buffer.alloc(31).toString('base64url')],
    ['a key without padding', randomBytes(32).toString('base64url')],
    ['a long key', `${randomBytes(33).toString('base64url')}`],
    ['a key that is not base64', '*'.repeat(44)],
    ['no string', 7 as unknown as string],
    ['a good and a bad key', [newKey(), 'secret-bad-key']],
  ])('refuses %s', (_, keys) => {
    const error = errorOf(() => new FernetCipher(keys));
    expect(error).toBeInstanceOf(InvalidInputError);
    expect(String(error)).not.toContain('secret-bad-key');
  });

  it('refuses bytes that are not UTF-8', () => {
    const key = newKey();
    const token = createToken(Uint8Array.of(0xff, 0xfe), parseKey(key)!, 1, randomBytes(16));
    expect(errorOf(() => new FernetCipher(key).decrypt(token))).toMatchObject({ code: 'credential_invalid' });
  });
});
