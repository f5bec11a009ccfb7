type Encoding = 'base64' | 'float';

/** What each server was seen to honour, for all providers of this process. A handful of addresses, so it is never trimmed. */
const encodingByBaseUrl = new Map<string, Encoding>();

/** What to ask of a server: base64 until it shows that it only knows floats. */
export function encodingFor(baseUrl: string, wanted: 'auto' | Encoding): Encoding {
  return wanted === 'auto' ? (encodingByBaseUrl.get(baseUrl) ?? 'base64') : wanted;
}

export function rememberEncoding(baseUrl: string, encoding: Encoding): void {
  encodingByBaseUrl.set(baseUrl, encoding);
}
