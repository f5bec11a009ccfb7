/** Turns the content of `integrations.password` into an API key. Bring your own for a KMS or a vault. */
export interface CredentialCipher {
  /** @throws `AiProviderError` with code `credential_invalid`, and never the token in its message. */
  decrypt(token: string): string | Promise<string>;
}
