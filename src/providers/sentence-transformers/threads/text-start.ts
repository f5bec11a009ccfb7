/**
 * A text is cut to the model's longest input after it was tokenised, so of a text of a megabyte only the start matters. A start is taken
 * where the tokens before it cannot depend on what comes after it: at the end of a word.
 */

/** Characters a token, first tried and at most looked at. English has 4 to 5, so that the first start nearly always does. */
const firstCharactersPerToken = 16;
const mostCharactersPerToken = 256;
/** How far back a space is looked for. */
const longestWord = 512;
/** The most tokens that a word which was cut in its middle can have got wrong: BERT takes longer words than 100 characters as unknown. */
const tokensInDoubt = 128;

/**
 * As much of a text as is ever looked at. White space does not count: many tokenizers take a run of it for one, and the words after it
 * belong to the text all the same.
 */
export function lookedAt(text: string, maxTokens: number): string {
  // One more, which shows whether a word ends there.
  const most = maxTokens * mostCharactersPerToken + 1;
  if (text.length <= most) return text;
  let end = 0;
  for (let counted = 0; counted < most && end < text.length; end++) if (!isPlainSpace(text.charCodeAt(end))) counted++;
  return text.slice(0, end);
}

/** Starts of the text of growing length; the last one is the whole text, or as much of it as is ever looked at. */
export function* startsOf(text: string, maxTokens: number): Generator<string> {
  const most = Math.min(text.length, maxTokens * mostCharactersPerToken);
  for (let length = maxTokens * firstCharactersPerToken; length < most; length *= 4) yield cut(text, length);
  yield text.length <= most ? text : cut(text, most);
}

/** How many tokens a start must have for its first `maxTokens` to be those of the whole text. */
export function enoughTokens(start: string, text: string, maxTokens: number): number {
  if (start.length >= Math.min(text.length, maxTokens * mostCharactersPerToken - longestWord)) return 0;
  return isSpace(text, start.length) ? maxTokens : maxTokens + tokensInDoubt;
}

function cut(text: string, length: number): string {
  for (let end = length; end > length - longestWord; end--) {
    if (isSpace(text, end) && !isSpace(text, end - 1)) return text.slice(0, end);
  }
  const splitsPair = /[\ud800-\udbff]/.test(text[length - 1]!);
  return text.slice(0, splitsPair ? length - 1 : length);
}

function isSpace(text: string, index: number): boolean {
  return /\s/.test(text[index] ?? ' ');
}

/** Space, tabulator, line feed, carriage return. */
function isPlainSpace(code: number): boolean {
  return code === 32 || code === 9 || code === 10 || code === 13;
}
