/** Cuts a sequence into arrays of at most `length` elements, reading no further ahead than the one it returns. */
export async function* takeSlices<Element>(
  sequence: Iterable<Element> | AsyncIterable<Element>,
  length: number,
): AsyncGenerator<Element[]> {
  let slice: Element[] = [];
  for await (const element of sequence) {
    slice.push(element);
    if (slice.length < length) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}
