import type { JsonObject } from '../json.js';

const word = /[\p{Alphabetic}\p{N}]+/gu;

/** Words as Qdrant's default tokenizer makes them: runs of letters and digits, in lower case. */
function wordsOf(text: string): string[] {
  return Array.from(text.matchAll(word), ([match]) => match.toLowerCase());
}

/**
 * `text`, `text_any`, `phrase` and `prefix`. Without a text index Qdrant 1.19 compares characters (a substring, or for `text_any` one of the
 * words as a substring), with one it compares words, and finds phrases only where it was made with `phrase_matching`. Undefined where the match has none of
 * these forms.
 */
export function parseTextMatch(
  match: JsonObject,
  index: JsonObject | undefined,
): ((value: unknown) => boolean) | undefined {
  const compare = index?.type === 'text' ? compareWords : compareCharacters;
  for (const form of ['text', 'text_any', 'phrase', 'prefix'] as const) {
    const query = match[form];
    if (typeof query !== 'string') continue;
    if (form === 'phrase' && index?.type === 'text' && index.phrase_matching !== true) return () => false;
    const check = form === 'prefix' ? (stored: string) => stored.startsWith(query) : compare(form, query);
    return (value) => typeof value === 'string' && check(value);
  }
  return undefined;
}

type TextForm = 'text' | 'text_any' | 'phrase';

function compareCharacters(form: TextForm, query: string): (stored: string) => boolean {
  if (form !== 'text_any') return (stored) => stored.includes(query);
  const parts = query.split(/\s+/u).filter((part) => part !== '');
  return (stored) => parts.some((part) => stored.includes(part));
}

function compareWords(form: TextForm, query: string): (stored: string) => boolean {
  const wanted = wordsOf(query);
  if (wanted.length === 0) return () => false;
  if (form === 'phrase') {
    return (stored) => {
      const words = wordsOf(stored);
      return words.some((_, start) => wanted.every((item, offset) => words[start + offset] === item));
    };
  }
  return (stored) => {
    const words = new Set(wordsOf(stored));
    return form === 'text' ? wanted.every((item) => words.has(item)) : wanted.some((item) => words.has(item));
  };
}
