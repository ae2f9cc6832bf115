/**
 * The lease (I12): how long this consumer may believe that its partitions are its own.
 *
 * In: the sending times of acknowledged heartbeats. Out: whether the lease holds at a given moment. The server counts
 * one group timeout from its receipt of a heartbeat; counting from our sending ends no later. The end stands in shared
 * memory, because threads compare it with their own reading of the clock right before a batch starts.
 */

export class Lease {
  /** One Float64: the end on the process-wide monotonic clock, ms. */
  readonly shared = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)
  readonly #end = new Float64Array(this.shared)
  readonly #timeoutMs: number

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#end[0] = Number.NEGATIVE_INFINITY
  }

  /** A heartbeat sent at `sentMs` was acknowledged. An older acknowledgement never shortens the lease. */
  acknowledge(sentMs: number): void {
    this.#end[0] = Math.max(this.endMs, sentMs + this.#timeoutMs)
  }

  /** The membership is gone: nothing that was acknowledged counts any more. */
  end(): void {
    this.#end[0] = Number.NEGATIVE_INFINITY
  }

  get endMs(): number {
    return this.#end[0] ?? Number.NEGATIVE_INFINITY
  }

  holds(nowMs: number): boolean {
    return nowMs < this.endMs
  }

  /** Milliseconds left, 0 where it has ended. */
  remainingMs(nowMs: number): number {
    return Math.max(0, this.endMs - nowMs)
  }
}
