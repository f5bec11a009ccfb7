/** What the conformance suites need of a test runner. Vitest's and Jest's globals satisfy it. */
export interface TestApi {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
  expect(actual: unknown): {
    toBe(expected: unknown): void;
    toEqual(expected: unknown): void;
  };
  beforeAll(body: () => Promise<void>): void;
  afterAll(body: () => Promise<void>): void;
}
