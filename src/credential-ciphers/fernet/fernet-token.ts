import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';

// The format: https://github.com/fernet/spec/blob/master/Spec.md
const version = 0x80;
const ivOffset = 9;
const ciphertextOffset = 25;
const blockBytes = 16;
const hmacBytes = 32;
const minimumTokenBytes = ciphertextOffset + blockBytes + hmacBytes;

export interface FernetKey {
  readonly signingKey: Buffer;
  readonly encryptionKey: Buffer;
}

export interface ParsedToken {
  /** Seconds since 1970. */
  readonly timestamp: number;
  readonly iv: Buffer;
  readonly ciphertext: Buffer;
  readonly signedPart: Buffer;
  readonly hmac: Buffer;
}

/** Undefined unless `text` is 32 bytes in padded URL-safe base64. */
export function parseKey(text: string): FernetKey | undefined {
  const bytes = decodeBase64Url(text);
  if (bytes?.length !== 32) return undefined;
  return { signingKey: bytes.subarray(0, 16), encryptionKey: bytes.subarray(16) };
}

/** @param bytes - 32 of them. */
export function formatKey(bytes: Buffer): string {
  return encodeBase64Url(bytes);
}

/** Undefined unless `text` has the form of a token. Says nothing about its signature. */
export function parseToken(text: string): ParsedToken | undefined {
  const bytes = decodeBase64Url(text);
  if (bytes === undefined || bytes.length < minimumTokenBytes || bytes[0] !== version) return undefined;
  const hmacOffset = bytes.length - hmacBytes;
  if ((hmacOffset - ciphertextOffset) % blockBytes !== 0) return undefined;
  const timestamp = bytes.readBigUInt64BE(1);
  if (timestamp > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  return {
    timestamp: Number(timestamp),
    iv: bytes.subarray(ivOffset, ciphertextOffset),
    ciphertext: bytes.subarray(ciphertextOffset, hmacOffset),
    signedPart: bytes.subarray(0, hmacOffset),
    hmac: bytes.subarray(hmacOffset),
  };
}

/** Compares in constant time. */
export function isSignedBy(token: ParsedToken, key: FernetKey): boolean {
  return timingSafeEqual(token.hmac, sign(token.signedPart, key));
}

/** @throws If the padding is wrong; only call it for a token that {@link isSignedBy} the key. */
export function decryptToken(token: ParsedToken, key: FernetKey): Buffer {
  const decipher = createDecipheriv('aes-128-cbc', key.encryptionKey, token.iv);
  return Buffer.concat([decipher.update(token.ciphertext), decipher.final()]);
}

/** @param timestamp - Seconds since 1970. @param iv - 16 bytes that are used once. */
export function createToken(message: Uint8Array, key: FernetKey, timestamp: number, iv: Uint8Array): string {
  const header = Buffer.alloc(ivOffset);
  header[0] = version;
  header.writeBigUInt64BE(BigInt(timestamp), 1);
  const cipher = createCipheriv('aes-128-cbc', key.encryptionKey, iv);
  const signedPart = Buffer.concat([header, iv, cipher.update(message), cipher.final()]);
  return encodeBase64Url(Buffer.concat([signedPart, sign(signedPart, key)]));
}

function sign(bytes: Uint8Array, key: FernetKey): Buffer {
  return createHmac('sha256', key.signingKey).update(bytes).digest();
}

/** Node skips what is not base64 and takes several texts for the same bytes; a token has exactly one form. */
function decodeBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return encodeBase64Url(bytes) === text ? bytes : undefined;
}

function encodeBase64Url(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
}
