/** What arrived at a `FakeGateway`. */
export interface FakeGatewayRequest {
  /** 1 for the first request. */
  readonly number: number;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>>;
  /** The texts of an embeddings request. */
  readonly inputs: readonly string[];
  /** `performance.now()` when it had arrived. */
  readonly receivedAt: number;
}
