/** What was seen of a server is tried again after this time: servers are repaired, and models replaced. */
const goodForMs = 15 * 60_000;
const mostFacts = 1000;

/** What servers were seen to do, by name, for a while. */
export class LearnedFacts<Value> {
  readonly #facts = new Map<string, { readonly value: Value; readonly until: number }>();
  readonly #now: () => number;

  /** @param now - Milliseconds from any fixed start. @default performance.now */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get(name: string): Value | undefined {
    const fact = this.#facts.get(name);
    if (fact === undefined || fact.until > this.#now()) return fact?.value;
    this.#facts.delete(name);
    return undefined;
  }

  learn(name: string, value: Value): void {
    this.#facts.delete(name);
    this.#facts.set(name, { value, until: this.#now() + goodForMs });
    const [oldest] = this.#facts.keys();
    if (this.#facts.size > mostFacts && oldest !== undefined) this.#facts.delete(oldest);
  }
}

type Encoding = 'base64' | 'float';

/** How each model answers, for all providers of this process: a gateway is one address with many models. */
const encodings = new LearnedFacts<Encoding>();

/** What to ask a model for: base64 until it shows that it only knows floats. */
export function encodingFor(baseUrl: string, model: string, wanted: 'auto' | Encoding): Encoding {
  return wanted === 'auto' ? (encodings.get(`${baseUrl}\n${model}`) ?? 'base64') : wanted;
}

export function rememberEncoding(baseUrl: string, model: string, encoding: Encoding): void {
  encodings.learn(`${baseUrl}\n${model}`, encoding);
}
