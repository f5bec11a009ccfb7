/**
 * US dollars for a million tokens of each kind, as catalogues state them. What is left out is unknown, or priced as the
 * rest.
 */
export interface CataloguePrice {
  readonly inputPerMillion?: number | string | undefined;
  readonly cachedInputPerMillion?: number | string | undefined;
  readonly cacheWritePerMillion?: number | string | undefined;
  readonly outputPerMillion?: number | string | undefined;
}

/** Which model's price is looked for. */
export interface PriceQuery {
  /** The `provider` column's value, such as `wex_ai_gateway` or `openai`. */
  readonly provider: string;
  /** The model that was asked, such as `azure-text-embedding-3-small`. */
  readonly model: string;
  readonly baseUrl: string | null;
}

/** A catalogue of list prices, for models that neither the row nor the gateway gives a price for. */
export interface PriceSource {
  /** Undefined for a model that it does not have. Called for each request without a price: answer from memory. */
  findPrice(query: PriceQuery): CataloguePrice | undefined | Promise<CataloguePrice | undefined>;
}
