import { Charsmap } from './charsmap.js';
import { mark } from './unicode-of-rust.js';

/** A normalizer of tokenizer.json, with the fields of those that are looked at here. */
export interface NormalizerDefinition {
  readonly type?: string;
  readonly clean_text?: boolean;
  readonly lowercase?: boolean;
  readonly handle_chinese_chars?: boolean;
  readonly normalizers?: readonly NormalizerDefinition[];
  readonly precompiled_charsmap?: string | null;
  readonly pattern?: { readonly String?: string; readonly Regex?: string };
  readonly content?: string;
  readonly prepend?: string;
  readonly strip_left?: boolean;
  readonly strip_right?: boolean;
}

type Normalize = (text: string) => string;

/**
 * The normalizer as Rust's tokenizers have it, or undefined when the one of `@huggingface/tokenizers` is equal to it. Those it has for SentencePiece models
 * are not: it puts NFKC in place of their tables, and knows no `Nmt`.
 */
export function ownNormalizer(definition: NormalizerDefinition | null | undefined): Normalize | undefined {
  if (!definition || !all(definition).some(({ type }) => differing.has(type ?? ''))) return undefined;
  return normalizerOf(definition);
}

/** The definition with nothing that `@huggingface/tokenizers` refuses; `ownNormalizer` takes its place. */
export function acceptedNormalizer(definition: NormalizerDefinition | null | undefined): unknown {
  return ownNormalizer(definition) === undefined ? (definition ?? null) : null;
}

const differing: ReadonlySet<string> = new Set(['Precompiled', 'Nmt', 'Lowercase', 'Strip', 'StripAccents']);

function all(definition: NormalizerDefinition): readonly NormalizerDefinition[] {
  return [definition, ...(definition.normalizers ?? []).flatMap(all)];
}

function normalizerOf(definition: NormalizerDefinition): Normalize | undefined {
  const make = makers[definition.type ?? ''];
  if (make === undefined)
    throw new Error(`tokenizer.json has the normalizer ${definition.type}, which is not supported`);
  return make(definition);
}

const makers: Readonly<Record<string, (definition: NormalizerDefinition) => Normalize>> = {
  Sequence: ({ normalizers = [] }) => {
    const steps = normalizers.map((each) => normalizerOf(each)!);
    return (text) => steps.reduce((result, step) => step(result), text);
  },
  Precompiled: ({ precompiled_charsmap: table }) => {
    if (!table) return (text) => text;
    const charsmap = new Charsmap(table);
    return (text) => charsmap.normalize(text);
  },
  Nmt: () => (text) => text.replace(dropped, '').replace(blanks, ' '),
  // Each character by itself: no other form of sigma at the end of a word.
  Lowercase: () => (text) => text.replaceAll('\u03a3', '\u03c3').toLowerCase(),
  Strip:
    ({ strip_left: left = true, strip_right: right = true }) =>
    (text) =>
      text.replace(left ? /^\p{White_Space}+/u : '', '').replace(right ? /\p{White_Space}+$/u : '', ''),
  Replace: ({ pattern = {}, content = '' }) => {
    const sought = pattern.Regex === undefined ? (pattern.String ?? '') : new RegExp(pattern.Regex, 'gu');
    return (text) => (sought === '' ? text : text.replaceAll(sought, () => content));
  },
  Prepend:
    ({ prepend = '' }) =>
    (text) =>
      text === '' ? '' : prepend + text,
  StripAccents: () => (text) => text.replace(mark, ''),
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
};

/** What SentencePiece's `nmt` rule drops, and what it takes for a space. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the rule is about control characters.
const dropped = /[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the rule is about control characters.
const blanks = /[\u0009\u000a\u000c\u000d\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/g;
