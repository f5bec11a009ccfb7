import { plainModelName } from '../model-names.js';

/**
 * Which model really answers. Vectors of two models cannot be compared, and some gateways fall back to another one,
 * or serve whatever is loaded, without a word except in the answer's `model`. Many answer with a name of their own
 * for the model that was asked for, so a strange name alone proves nothing; a change of it does.
 */
export class ServedModels {
  readonly #servedByAsked = new Map<string, string>();
  readonly #onOtherName: (asked: string, served: string) => void;

  /** @param onOtherName - Called once a model if the server answers with a name that looks like another model. */
  constructor(onOtherName: (asked: string, served: string) => void) {
    this.#onOtherName = onOtherName;
  }

  /** @returns in one phrase, what is wrong with the answer; undefined if nothing is known to be. */
  problemOf(asked: string, served: unknown, headers: Headers): string | undefined {
    const name = typeof served === 'string' && served !== '' ? served : undefined;
    if (Number(headers.get('x-litellm-attempted-fallbacks') ?? 0) > 0) {
      const group = headers.get('x-litellm-model-group');
      return `vectors of the gateway's fallback ${shown(group ?? name ?? 'model')} in place of ${asked}`;
    }
    if (name === undefined) return undefined;
    const known = this.#servedByAsked.get(asked);
    if (known === undefined) {
      this.#servedByAsked.set(asked, name);
      if (plainModelName(name) !== plainModelName(asked)) this.#onOtherName(asked, shown(name));
      return undefined;
    }
    if (plainModelName(name) === plainModelName(known)) return undefined;
    // The first answers may have been those of a fallback.
    if (plainModelName(name) === plainModelName(asked)) this.#servedByAsked.set(asked, name);
    return `vectors of the model ${shown(name)}, after those of ${shown(known)} for the same ${asked}`;
  }
}

/** A name is a name: what is not made like one is not shown. */
function shown(name: string): string {
  return /^[\w./:@-]{1,120}$/.test(name) ? name : 'another model';
}
