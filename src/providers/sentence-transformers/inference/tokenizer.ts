import { readFile } from 'node:fs/promises';
import type { ModelManifest } from '../model/model-manifest.js';
import { enoughTokens, lookedAt, startsOf } from '../threads/text-start.js';
import type { TokenizedTexts } from '../threads/worker-protocol.js';
import { acceptedNormalizer, type NormalizerDefinition, ownNormalizer } from './normalizer.js';
import { loadTokenizers } from './packages.js';
import { type PreTokenizerDefinition, type PreTokenizerLike, preTokenizerOf } from './pre-tokenizer.js';

interface TokenizerLike {
  encode(text: string): { readonly ids: readonly number[] };
}

/** The part of tokenizer.json that is looked at here. */
interface TokenizerDefinition {
  readonly normalizer?: NormalizerDefinition | null;
  readonly pre_tokenizer?: PreTokenizerDefinition | null;
  readonly added_tokens?: readonly { readonly content: string }[];
}

type TokenizerSettings = Pick<ModelManifest, 'maxTokens' | 'poolsPrompt'>;

/** Token ids as the Rust tokenizers under Python's sentence-transformers make them, truncated so that the closing special tokens stay. */
export class Tokenizer {
  readonly #tokenizer: TokenizerLike;
  readonly #settings: TokenizerSettings;
  readonly #closingTokens: readonly number[];
  readonly #collapse: (text: string) => string;
  readonly #evenOut: (text: string) => string;

  constructor(tokenizer: TokenizerLike, definition: TokenizerDefinition, settings: TokenizerSettings) {
    this.#tokenizer = tokenizer;
    this.#settings = settings;
    this.#closingTokens = commonEnd(tokenizer.encode('').ids, tokenizer.encode('a').ids);
    this.#collapse = collapse(definition);
    this.#evenOut = evenOut(definition);
  }

  static async load(manifest: TokenizerSettings & Pick<ModelManifest, 'tokenizerFile'>): Promise<Tokenizer> {
    const tokenizers = await loadTokenizers();
    const definition = JSON.parse(await readFile(manifest.tokenizerFile, 'utf8')) as TokenizerDefinition;
    const accepted = { ...definition, normalizer: acceptedNormalizer(definition.normalizer) };
    return new Tokenizer(mended(new tokenizers.Tokenizer(accepted, {}), definition), definition, manifest);
  }

  /** Encodes each text with the prompt before it. */
  encodeAll(texts: readonly string[], prompt: string): TokenizedTexts {
    const encoded = texts.map((text) => this.encode(prompt + text));
    const lengths = Int32Array.from(encoded, (ids) => ids.length);
    const tokenIds = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
    let offset = 0;
    for (const ids of encoded) {
      tokenIds.set(ids, offset);
      offset += ids.length;
    }
    return { tokenIds, lengths, skipped: new Int32Array(texts.length).fill(this.#skippedTokens(prompt)) };
  }

  encode(text: string): readonly number[] {
    const { maxTokens } = this.#settings;
    const read = this.#collapse(lookedAt(text, maxTokens));
    let ids: readonly number[] = [];
    for (const start of startsOf(read, maxTokens)) {
      ids = this.#tokenizer.encode(this.#evenOut(start)).ids;
      if (ids.length >= enoughTokens(start, read, maxTokens)) break;
    }
    if (ids.length <= maxTokens) return ids;
    return [...ids.slice(0, maxTokens - this.#closingTokens.length), ...this.#closingTokens];
  }

  #skippedTokens(prompt: string): number {
    if (prompt === '' || this.#settings.poolsPrompt) return 0;
    return this.encode(prompt).length - this.#closingTokens.length;
  }
}

/** Puts Rust's normalizer and pre-tokenizer in place of JavaScript's when the two differ. */
function mended<Made extends TokenizerLike>(tokenizer: Made, definition: TokenizerDefinition): Made {
  const parts = tokenizer as { normalizer?: unknown; pre_tokenizer?: unknown };
  const normalizer = ownNormalizer(definition.normalizer);
  if (normalizer !== undefined) parts.normalizer = normalizer;
  if (definition.pre_tokenizer) {
    parts.pre_tokenizer = preTokenizerOf(definition.pre_tokenizer, parts.pre_tokenizer as PreTokenizerLike);
  }
  return tokenizer;
}

function commonEnd(left: readonly number[], right: readonly number[]): readonly number[] {
  let count = 0;
  while (count < left.length && left.at(-1 - count) === right.at(-1 - count)) count++;
  return left.slice(left.length - count);
}

const runOfSpace = /[ \t\n\r]{2,}/g;

/** Makes one space of many where the tokenizer takes them for one anyway, so that they do not use up what is looked at of a text. */
function collapse({ normalizer, pre_tokenizer: preTokenizer, added_tokens: addedTokens = [] }: TokenizerDefinition) {
  const splitsAtSpace =
    normalizer?.type === 'BertNormalizer' &&
    normalizer.clean_text !== false &&
    preTokenizer?.type === 'BertPreTokenizer' &&
    !addedTokens.some(({ content }) => /\s/.test(content));
  return (text: string) => (splitsAtSpace ? text.replace(runOfSpace, ' ') : text);
}

/** A surrogate without its other half: no Unicode text holds one, and the Rust tokenizers cannot be given one. */
const loneSurrogate = /\p{Cs}/gu;
/** The ideographs outside of the basic plane that BERT takes one by one. */
const rareIdeograph = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * Mends in the text where the BERT normalizer in JavaScript differs from the one in Rust: it overlooks ideographs outside of the basic
 * plane, and lowers a capital sigma at the end of a word to `ς`, where Rust lowers each character by itself.
 */
function evenOut({ normalizer }: TokenizerDefinition): (text: string) => string {
  const isBert = normalizer?.type === 'BertNormalizer';
  const splitsIdeographs = isBert && normalizer.handle_chinese_chars !== false;
  const lowers = isBert && normalizer.lowercase !== false;
  return (text) => {
    let result = text.replace(loneSurrogate, '\ufffd');
    if (splitsIdeographs) result = result.replace(rareIdeograph, ' $& ');
    return lowers ? result.replaceAll('\u03a3', '\u03c3') : result;
  };
}
