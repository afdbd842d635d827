/** First in, first out, with room for `capacity` items; takes memory only for the items in it. */
export class BoundedQueue<T> {
  /** How many items fit. */
  readonly capacity: number;
  #ring: (T | undefined)[] = new Array(16);
  #head = 0;
  #size = 0;

  /** Begins empty. */
  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** How many items wait. */
  get size(): number {
    return this.#size;
  }

  /** Whether one more does not fit. */
  get full(): boolean {
    return this.#size >= this.capacity;
  }

  /** Adds an item at the end; there must be room. */
  push(item: T): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = item;
    this.#size++;
  }

  /** Takes the item that has waited longest. */
  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size--;
    return item;
  }

  /** Drops all items. */
  clear(): void {
    this.#ring = new Array(16);
    this.#head = 0;
    this.#size = 0;
  }

  #grow(): void {
    const { length } = this.#ring;
    const ring = [...this.#ring.slice(this.#head), ...this.#ring.slice(0, this.#head)];
    ring.length = length * 2;
    this.#ring = ring;
    this.#head = 0;
  }
}
