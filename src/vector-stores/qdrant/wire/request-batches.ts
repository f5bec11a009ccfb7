/** Small requests are answered sooner, and a server takes no more than 32 MB in one. */
const maxItems = 256;
const maxBytes = 8_000_000;

export interface BatchItem {
  /** The most bytes that it takes in a request. */
  readonly byteCount: number;
  /** The point that it writes. Within one request no order decides which of two writes is kept: they go into two. */
  readonly pointId?: string;
}

/** What goes into one request: as much as fits by count and by bytes, and always one. */
export class Batch<Item extends BatchItem> {
  readonly items: Item[] = [];
  readonly pointIds = new Set<string>();
  #byteCount = 0;

  hasRoomFor({ byteCount, pointId }: Item): boolean {
    if (this.items.length === 0) return true;
    if (pointId !== undefined && this.pointIds.has(pointId)) return false;
    return this.items.length < maxItems && this.#byteCount + byteCount <= maxBytes;
  }

  add(item: Item): void {
    this.items.push(item);
    if (item.pointId !== undefined) this.pointIds.add(item.pointId);
    this.#byteCount += item.byteCount;
  }
}

/** Splits what is there already into as many requests as it takes, in order. */
export function* toBatches<Item extends BatchItem>(items: Iterable<Item>): Generator<Item[]> {
  let batch = new Batch<Item>();
  for (const item of items) {
    if (!batch.hasRoomFor(item)) {
      yield batch.items;
      batch = new Batch();
    }
    batch.add(item);
  }
  if (batch.items.length > 0) yield batch.items;
}
