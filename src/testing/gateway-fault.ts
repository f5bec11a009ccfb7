/** What a {@link FakeGateway} may do wrong with one request. */
export type GatewayFault =
  /** Answers with this status instead, and an OpenAI error body unless another is given. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      /** The `error` of the body; a string is sent as the whole body. */
      readonly error?: Readonly<Record<string, unknown>> | string;
    }
  /** A 400 whose message and headers hold the `Authorization` header that came. */
  | { readonly kind: 'echoed_key'; readonly status?: number }
  /** Answers well, but this much later. */
  | { readonly kind: 'latency'; readonly delayMs: number }
  /** Closes the connection before the status line. */
  | { readonly kind: 'reset' }
  /** Closes the connection after the headers. */
  | { readonly kind: 'reset_after_headers' }
  /** Closes the connection in the middle of the body. */
  | { readonly kind: 'reset_in_body' }
  /** Never answers. */
  | { readonly kind: 'stall' }
  /** Sends the headers, then nothing more. */
  | { readonly kind: 'stall_after_headers' }
  /** Sends half of the body, then nothing more. */
  | { readonly kind: 'stall_in_body' }
  /** Ends well-formed HTTP with half of the JSON. */
  | { readonly kind: 'truncated_json' }
  /** Leaves the last embedding out. */
  | { readonly kind: 'wrong_count' }
  /** Sends the embeddings in another order, each with its right `index`. */
  | { readonly kind: 'shuffled' }
  /** Gives every embedding the `index` 0. */
  | { readonly kind: 'repeated_index' }
  /** Sends floats whatever was asked for. */
  | { readonly kind: 'float' }
  /** Sends neither a string nor an array. */
  | { readonly kind: 'unknown_encoding' }
  /** Makes the first value of the first vector NaN (`null` in a list of floats). */
  | { readonly kind: 'nan' }
  /** Makes the first vector all zeros. */
  | { readonly kind: 'zero_vector' }
  /** Makes the first vector one value shorter. */
  | { readonly kind: 'wrong_dimension' }
  /** Leaves `usage` out. */
  | { readonly kind: 'no_usage' };

/** Refuses the first requests with 503, as a server that is still loading its model does. */
export function slowStart(requestCount: number): (request: { readonly number: number }) => GatewayFault | undefined {
  return ({ number }) => (number <= requestCount ? { kind: 'status', status: 503 } : undefined);
}
