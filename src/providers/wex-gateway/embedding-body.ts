/** JSON whose long strings were left where they are. */
export interface ParsedBody {
  /** A long string in it is a {@link LongString}. */
  readonly value: unknown;
  readonly longStrings: readonly Buffer[];
}

/** Stands for `longStrings[longString]`. */
export interface LongString {
  readonly longString: number;
}

const quote = 0x22;
const backslash = 0x5c;
/** Below this, cutting a string out costs more than parsing it. A base64 vector of 48 dimensions is as long. */
const shortestCut = 256;

/**
 * Parses JSON without making strings of its base64 vectors: they are nearly all of the body, and would be copied three times, as text, as string and as
 * substring. The rest goes through `JSON.parse`.
 *
 * @throws SyntaxError
 */
export function parseEmbeddingBody(bytes: Buffer): ParsedBody {
  const longStrings: Buffer[] = [];
  const parts: string[] = [];
  let parsedUntil = 0;
  let open = bytes.indexOf(quote);
  while (open !== -1) {
    const close = closingQuote(bytes, open);
    if (close === -1) break;
    const content = bytes.subarray(open + 1, close);
    if (content.length >= shortestCut && !content.includes(backslash)) {
      parts.push(bytes.toString('utf8', parsedUntil, open), `{"longString":${longStrings.length}}`);
      longStrings.push(content);
      parsedUntil = close + 1;
    }
    open = bytes.indexOf(quote, close + 1);
  }
  parts.push(bytes.toString('utf8', parsedUntil));
  return { value: JSON.parse(parts.join('')), longStrings };
}

function closingQuote(bytes: Buffer, open: number): number {
  let close = open;
  do {
    close = bytes.indexOf(quote, close + 1);
  } while (close !== -1 && isEscaped(bytes, close));
  return close;
}

/** Whether an odd number of backslashes stands before it. */
function isEscaped(bytes: Buffer, position: number): boolean {
  let start = position;
  while (bytes[start - 1] === backslash) start--;
  return (position - start) % 2 === 1;
}

/** The body of a response, whole. */
export async function readBytes(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  if (response.body !== null) for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
