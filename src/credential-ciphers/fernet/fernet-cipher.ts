import { randomBytes } from 'node:crypto';
import type { CredentialCipher } from '../../core/ports/credential-cipher.js';
import { AiProviderError, InvalidInputError } from '../../errors.js';
import { describeValue, requirePositiveInteger } from '../../internal/validate.js';
import {
  createToken,
  decryptToken,
  type FernetKey,
  formatKey,
  isSignedBy,
  type ParsedToken,
  parseKey,
  parseToken,
} from './fernet-token.js';

/** How far a token's timestamp may lie in the future when its age is checked, as in Python's cryptography. */
const maximumClockSkewSeconds = 60;

export interface FernetDecryptOptions {
  /** The greatest age of the token, in seconds. @default no limit: stored credentials do not expire */
  readonly maximumAgeSeconds?: number | undefined;
}

/**
 * Reads and writes Fernet tokens, the form in which `integrations.password` holds an API key. Compatible with `Fernet`
 * and `MultiFernet` of Python's cryptography, both ways.
 *
 * @example
 * const cipher = new FernetCipher(secretKey);
 * cipher.decrypt(cipher.encrypt('an API key')); // 'an API key'
 *
 * @example Rotation: the first key encrypts, all of them decrypt.
 * const cipher = new FernetCipher([newKey, oldKey]);
 * row.password = cipher.rotate(row.password);
 */
export class FernetCipher implements CredentialCipher {
  readonly #keys: readonly [FernetKey, ...FernetKey[]];

  /** A new key from the system's random numbers. */
  static generateKey(): string {
    return formatKey(randomBytes(32));
  }

  /**
   * @param keys - One key or several: 32 bytes in URL-safe base64 with padding (44 characters), as
   *   `Fernet.generate_key()` makes them.
   * @throws {@link InvalidInputError} for anything else.
   */
  constructor(keys: string | readonly string[]) {
    const [first, ...others] = (Array.isArray(keys) ? keys : [keys]).map(requireKey);
    if (first === undefined) throw new InvalidInputError('Expected `keys` to hold at least one Fernet key, got none.');
    this.#keys = [first, ...others];
  }

  /** @returns A token under the first key. */
  encrypt(text: string): string {
    return createToken(Buffer.from(text), this.#keys[0], Math.floor(Date.now() / 1000), randomBytes(16));
  }

  /**
   * @throws {@link AiProviderError} `credential_invalid` for a value that is not a token, was changed, was encrypted
   *   with another key or is too old. The message holds neither the token nor a key.
   */
  decrypt(token: string, options: FernetDecryptOptions = {}): string {
    const parsed = requireToken(token);
    if (options.maximumAgeSeconds !== undefined) requireFresh(parsed, options.maximumAgeSeconds);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#open(parsed));
    } catch (error) {
      if (error instanceof AiProviderError) throw error;
      throw invalid('it was signed with the right key, but what it holds is not UTF-8 text');
    }
  }

  /** The same text under the first key. The token's timestamp stays, so rotation does not make it younger. */
  rotate(token: string): string {
    const parsed = requireToken(token);
    return createToken(this.#open(parsed), this.#keys[0], parsed.timestamp, randomBytes(16));
  }

  #open(token: ParsedToken): Buffer {
    const key = this.#keys.find((candidate) => isSignedBy(token, candidate));
    if (key === undefined) {
      const count = this.#keys.length === 1 ? 'the key' : `any of the ${this.#keys.length} keys`;
      throw invalid(`its signature does not fit ${count}: it was encrypted with another key, or changed since`);
    }
    try {
      return decryptToken(token, key);
    } catch {
      throw invalid('it was signed with the right key, but its padding is wrong');
    }
  }
}

function requireKey(value: unknown, index: number): FernetKey {
  const key = typeof value === 'string' ? parseKey(value) : undefined;
  if (key !== undefined) return key;
  throw new InvalidInputError(
    `Expected key ${index + 1} to be a Fernet key, 32 bytes in URL-safe base64 (44 characters), got ${describeValue(value)}.`,
    { position: index },
  );
}

function requireToken(value: unknown): ParsedToken {
  const token = typeof value === 'string' ? parseToken(value) : undefined;
  if (token !== undefined) return token;
  throw invalid(`expected a Fernet token, got ${describeValue(value)}`);
}

function requireFresh(token: ParsedToken, maximumAgeSeconds: number): void {
  requirePositiveInteger(maximumAgeSeconds, 'maximumAgeSeconds');
  const ageSeconds = Math.floor(Date.now() / 1000) - token.timestamp;
  if (ageSeconds > maximumAgeSeconds) throw invalid(`it is older than ${maximumAgeSeconds} s`);
  if (ageSeconds < -maximumClockSkewSeconds) throw invalid('its timestamp lies in the future');
}

function invalid(reason: string): AiProviderError {
  return new AiProviderError(`The credential could not be decrypted: ${reason}.`, { code: 'credential_invalid' });
}
