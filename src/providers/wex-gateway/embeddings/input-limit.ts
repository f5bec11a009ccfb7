/**
 * How many inputs a request may have, if the server's refusal says so: "batch size is invalid, it should not be
 * larger than 10", "batch size 100 > maximum allowed batch size 32", "at most 2048 inputs".
 *
 * @param sentCount - How many there were. A limit that they met is not the reason.
 */
export function limitInWords(message: string, sentCount: number): number | undefined {
  if (!/batch|inputs?\b|texts?\b|items?\b|array|elements?\b/i.test(message) || /token/i.test(message)) return undefined;
  const limits = [...message.matchAll(pattern)].map(([, first, second]) => Number(first ?? second));
  return limits.find((limit) => Number.isInteger(limit) && limit >= 1 && limit < sentCount);
}

const pattern =
  /(?:larger|more|greater|longer) than (?:or equal to )?(\d+)|(?:maximum|max|at most|up to|limit|exceeds?)\b[^\d]{0,40}?(\d+)/gi;
