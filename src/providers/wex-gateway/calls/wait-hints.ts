/**
 * How long the server asked to wait, in milliseconds: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC
 * 9110, 10.2.3); LiteLLM passes its upstream's on as `llm_provider-retry-after`. Undefined if it did not say, or in
 * no form that can be read.
 */
export function retryAfterMs(headers: Headers, now = Date.now()): number | undefined {
  const milliseconds = headers.get('retry-after-ms');
  if (milliseconds !== null && isDecimal(milliseconds.trim())) return Math.ceil(Number(milliseconds));
  for (const name of ['retry-after', 'llm_provider-retry-after']) {
    const value = headers.get(name)?.trim() ?? '';
    if (value === '') continue;
    if (isDecimal(value)) return Math.ceil(Number(value) * 1000);
    const date = Date.parse(value);
    if (!Number.isNaN(date)) return Math.max(0, date - now);
  }
  return undefined;
}

/** A wait that is named in a sentence: "Please retry in 1.5s", "try again in 20ms". */
export function waitInWords(message: string): number | undefined {
  const match = /(?:retry|try again) (?:in|after) (\d+(?:\.\d+)?) ?(ms|milliseconds|s|sec|seconds)\b/i.exec(message);
  if (match === null) return undefined;
  return Math.ceil(Number(match[1]) * (match[2]?.toLowerCase().startsWith('m') ? 1 : 1000));
}

/**
 * How long until the rate limit of the server has room again, if its headers say that there is none left
 * (`x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests`: OpenAI, Azure, Groq, LiteLLM).
 */
export function exhaustedForMs(headers: Headers): number | undefined {
  const waits = ['requests', 'tokens'].map((what) => {
    const remaining = headers.get(`x-ratelimit-remaining-${what}`);
    if (remaining === null || Number(remaining) > 0 || !isDecimal(remaining.trim())) return 0;
    return spanMs(headers.get(`x-ratelimit-reset-${what}`)) ?? 0;
  });
  const longest = Math.max(...waits);
  return longest > 0 ? longest : undefined;
}

/** OpenAI's form, `1h2m3.5s` or `20ms`; others send seconds. */
function spanMs(value: string | null): number | undefined {
  const text = value?.trim() ?? '';
  if (isDecimal(text)) return Number(text) > 100_000 ? undefined : Number(text) * 1000;
  if (!/^(\d+(\.\d+)?(ms|h|m|s))+$/.test(text)) return undefined;
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g))
    sum += Number(amount) * (units[unit!] ?? 0);
  return sum;
}

function isDecimal(text: string): boolean {
  return /^\d+(\.\d+)?$/.test(text);
}
