import { InvalidInputError } from '../../errors.js';
import { requireKnownKeys } from '../../internal/known-keys.js';
import { describeValue, requireFunction, requirePositiveInteger } from '../../internal/validate.js';

export interface ChunkingOptions {
  /** Counts the tokens of a text as the embedding model does, such as `await openAiTokenCounter()`. */
  readonly countTokens: (text: string) => number;
  /** The most tokens of a piece. A text with no more stays whole. */
  readonly maxTokens: number;
  /** How many tokens a piece repeats of the one before, at most. @default an eighth of `maxTokens` */
  readonly overlapTokens?: number | undefined;
  /** What texts are cut at first: at headings, at definitions, or at paragraphs. @default 'text' */
  readonly format?: 'text' | 'markdown' | 'code' | undefined;
}

/** Options that were checked, with their defaults. */
export interface CheckedChunking {
  readonly countTokens: (text: string) => number;
  readonly maxTokens: number;
  readonly overlapTokens: number;
  readonly format: 'text' | 'markdown' | 'code';
}

/** A piece of a text: `text.slice(start, end)`. */
export interface TextPiece {
  readonly start: number;
  readonly end: number;
}

/** At what a text may be cut, the best places first. Each match ends, or for a lookahead begins, a part. */
const boundaries: Readonly<Record<NonNullable<ChunkingOptions['format']>, readonly RegExp[]>> = {
  text: [/\n\s*\n/g, /\n/g, /[.!?…。！？]["')\]]*\s+|[。！？]/g, /\s+/g],
  markdown: [/\n(?=#{1,6} )/g, /\n(?=```|~~~)/g, /\n\s*\n/g, /\n/g, /[.!?…。！？]["')\]]*\s+|[。！？]/g, /\s+/g],
  // A line that begins in the first column after an empty one begins a definition.
  code: [/\n\s*\n(?=\S)/g, /\n\s*\n/g, /\n/g, /[;{}]\s*/g, /\s+/g],
};

/** @throws {@link InvalidInputError} for options that cannot be used. */
export function checkChunking(options: ChunkingOptions): CheckedChunking {
  requireKnownKeys<ChunkingOptions>(
    options,
    { countTokens: true, maxTokens: true, overlapTokens: true, format: true },
    'chunking',
  );
  requireFunction(options.countTokens, 'chunking.countTokens');
  const maxTokens = requirePositiveInteger(options.maxTokens, 'chunking.maxTokens');
  const { overlapTokens = Math.floor(maxTokens / 8), format = 'text', countTokens } = options;
  if (!Number.isSafeInteger(overlapTokens) || overlapTokens < 0 || overlapTokens > maxTokens / 2) {
    throw new InvalidInputError(
      `Expected \`chunking.overlapTokens\` to be an integer from 0 to half of \`maxTokens\`, got ${describeValue(overlapTokens)}.`,
    );
  }
  if (!Object.hasOwn(boundaries, format)) {
    throw new InvalidInputError(
      `Expected \`chunking.format\` to be 'text', 'markdown' or 'code', got ${describeValue(format)}.`,
    );
  }
  return { maxTokens, overlapTokens, format, countTokens };
}

/**
 * Cuts a text into pieces of at most `maxTokens`, at the best boundary that there is, each repeating the end of the one
 * before. Together the pieces are the whole text. A single character of more tokens than that is a piece of its own.
 */
export function chunkText(text: string, options: CheckedChunking): TextPiece[] {
  const { countTokens, maxTokens } = options;
  if (countTokens(text) <= maxTokens) return [{ start: 0, end: text.length }];
  return joinParts(text, [...cut(text, { start: 0, end: text.length }, 0, options)], options);
}

/** Parts that each fit, in order and without gaps. */
function* cut(text: string, part: TextPiece, level: number, options: CheckedChunking): Generator<TextPiece> {
  if (options.countTokens(text.slice(part.start, part.end)) <= options.maxTokens) {
    yield part;
    return;
  }
  const pattern = boundaries[options.format][level];
  if (pattern === undefined) {
    yield* halve(text, part, options);
    return;
  }
  let { start } = part;
  for (const match of text.slice(part.start, part.end).matchAll(pattern)) {
    const end = part.start + match.index + match[0].length;
    if (end <= start || end >= part.end) continue;
    yield* cut(text, { start, end }, level + 1, options);
    start = end;
  }
  yield* cut(text, { start, end: part.end }, level + 1, options);
}

/** A run without any boundary, such as base64 or Chinese without punctuation. */
function* halve(text: string, { start, end }: TextPiece, options: CheckedChunking): Generator<TextPiece> {
  const half = start + Math.ceil((end - start) / 2);
  const middle = isInsideCharacter(text, half) ? (half - 1 > start ? half - 1 : half + 1) : half;
  const isOneCharacter = middle <= start || middle >= end;
  if (isOneCharacter || options.countTokens(text.slice(start, end)) <= options.maxTokens) {
    yield { start, end };
    return;
  }
  yield* halve(text, { start, end: middle }, options);
  yield* halve(text, { start: middle, end }, options);
}

/** Between the two halves of a character. */
function isInsideCharacter(text: string, index: number): boolean {
  return /^[\ud800-\udbff][\udc00-\udfff]$/.test(text.slice(index - 1, index + 1));
}

/** Joins neighbours as long as they fit, and begins each piece with the end of the one before. */
function joinParts(text: string, parts: readonly TextPiece[], options: CheckedChunking): TextPiece[] {
  const { countTokens, maxTokens, overlapTokens } = options;
  const fits = (from: number, to: number, limit: number) =>
    countTokens(text.slice(parts[from]!.start, parts[to]!.end)) <= limit;
  const pieces: TextPiece[] = [];
  let first = 0;
  for (let last = 0; last < parts.length; last++) {
    if (last + 1 < parts.length && fits(first, last + 1, maxTokens)) continue;
    pieces.push({ start: parts[first]!.start, end: parts[last]!.end });
    const next = last + 1;
    if (next === parts.length) break;
    let begin = next;
    while (begin - 1 > first && fits(begin - 1, last, overlapTokens) && fits(begin - 1, next, maxTokens)) begin--;
    first = begin;
  }
  return pieces;
}
