import { punctuation } from './unicode-of-rust.js';

/** A pre-tokenizer of tokenizer.json, with the fields of those that are looked at here. */
export interface PreTokenizerDefinition {
  readonly type?: string;
  readonly pretokenizers?: readonly PreTokenizerDefinition[];
  readonly replacement?: string;
  readonly prepend_scheme?: 'always' | 'first' | 'never';
  readonly add_prefix_space?: boolean;
  readonly split?: boolean;
  readonly individual_digits?: boolean;
  readonly behavior?: string;
}

/** What `@huggingface/tokenizers` makes of a definition. */
export interface PreTokenizerLike {
  readonly tokenizers?: readonly PreTokenizerLike[];
  pattern?: unknown;
  pre_tokenize_text(text: string, options: PreTokenizeOptions): string[];
}

export interface PreTokenizeOptions {
  /** Counts the parts of a text between special tokens. */
  readonly section_index?: number;
}

type PreTokenize = (text: string, options?: PreTokenizeOptions) => string[];

/**
 * The pre-tokenizer as Rust's tokenizers have it. In JavaScript, `\w` and `\d` know ASCII only and `\s` is another set than Unicode's white space; some
 * behaviours are left out.
 *
 * @param theirs - Does what is equal.
 */
export function preTokenizerOf(definition: PreTokenizerDefinition, theirs: PreTokenizerLike): PreTokenize {
  const { type, pretokenizers = [] } = definition;
  if (type === 'Sequence')
    return inSequence(pretokenizers.map((each, index) => preTokenizerOf(each, theirs.tokenizers![index]!)));
  const make = makers[type ?? ''];
  if (make !== undefined) return make(definition);
  if (theirs.pattern instanceof RegExp) theirs.pattern = withUnicodeSpace(theirs.pattern);
  return (text, options = {}) => theirs.pre_tokenize_text(text, options);
}

/** Only the first part of a text's first section counts as its start. */
function inSequence(steps: readonly PreTokenize[]): PreTokenize {
  return (text, { section_index: section = 0 } = {}) =>
    steps.reduce(
      (parts, step) => parts.flatMap((part, index) => step(part, { section_index: section + index })),
      [text],
    );
}

const makers: Readonly<Record<string, (definition: PreTokenizerDefinition) => PreTokenize>> = {
  BertPreTokenizer: () => (text) => text.match(bertParts) ?? [],
  WhitespaceSplit: () => (text) => text.match(/\P{White_Space}+/gu) ?? [],
  // A word is what Rust's `\w` says: https://docs.rs/regex/latest/regex/#perl-character-classes-unicode-friendly
  Whitespace: () => (text) =>
    text.match(
      /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu,
    ) ?? [],
  Digits: ({ individual_digits: isEach }) => {
    const pattern = isEach ? /\P{N}+|\p{N}/gu : /\P{N}+|\p{N}+/gu;
    return (text) => text.match(pattern) ?? [];
  },
  Punctuation: ({ behavior = 'Isolated' }) => {
    const pattern = punctuationPatterns[behavior];
    if (pattern === undefined)
      throw new Error(`tokenizer.json splits at punctuation in the way ${behavior}, which is not supported`);
    return (text) => text.match(pattern) ?? [];
  },
  Metaspace: ({ replacement = '\u2581', prepend_scheme: scheme, add_prefix_space: hasPrefix = true, split = true }) => {
    const prepends = scheme ?? (hasPrefix ? 'always' : 'never');
    return (text, { section_index: section } = {}) => {
      const replaced = text.replaceAll(' ', replacement);
      const isMarked = prepends === 'always' || (prepends === 'first' && section === 0);
      const marked = isMarked && !replaced.startsWith(replacement) ? replacement + replaced : replaced;
      return split ? marked.split(new RegExp(`(?=${replacement})`, 'u')) : [marked];
    };
  },
};

const bertParts = new RegExp(`(?:(?!${punctuation})\\P{White_Space})+|${punctuation}`, 'gv');
const punctuationPatterns: Readonly<Record<string, RegExp>> = {
  Isolated: new RegExp(`(?:(?!${punctuation}).)+|${punctuation}`, 'gsv'),
  Contiguous: new RegExp(`(?:(?!${punctuation}).)+|${punctuation}+`, 'gsv'),
  Removed: new RegExp(`(?:(?!${punctuation}).)+`, 'gsv'),
  MergedWithPrevious: new RegExp(`(?:(?!${punctuation}).)*${punctuation}|(?:(?!${punctuation}).)+`, 'gsv'),
  MergedWithNext: new RegExp(`${punctuation}(?:(?!${punctuation}).)*|(?:(?!${punctuation}).)+`, 'gsv'),
};

function withUnicodeSpace({ source, flags }: RegExp): RegExp {
  const unicode = source.replaceAll('\\s', '\\p{White_Space}').replaceAll('\\S', '\\P{White_Space}');
  return new RegExp(unicode, flags.includes('u') ? flags : `${flags}u`);
}
