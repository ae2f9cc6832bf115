/**
 * The byte budget (I5): one number of bytes held against allowed, from which all backpressure follows.
 *
 * In: what is about to be pulled, what arrived, what opens and closes. Out: whether it may. Held is compressed, reserved
 * for pulls on the way, and decoded. A quarter of the budget is for open batches, so that pulls that fill their part never
 * stop the processors that would empty it, and an eighth for the memory that threads keep for their next ones, which they
 * see to themselves. Over the budget goes only what responses exceed their reservation by, one pull per partition, one open
 * batch in all, and one idle memory per thread.
 */
import { assert } from '../errors.ts'
import { KEPT_SHARE, PULLED_SHARE } from '../options.ts'

/** No pull asks for less, however many partitions share the budget. */
const PULL_BYTES_MIN = 64 * 1024

export class ByteBudget {
  readonly #pulledMax: number
  readonly #decodedMax: number
  #pulledBytes = 0
  #decodedBytes = 0
  #openCount = 0

  constructor(heldBytesMax: number) {
    this.#pulledMax = Math.floor(heldBytesMax * PULLED_SHARE)
    this.#decodedMax = Math.floor(heldBytesMax * (1 - PULLED_SHARE - KEPT_SHARE))
  }

  get heldBytes(): number {
    return this.#pulledBytes + this.#decodedBytes
  }

  /** How much to ask for in one pull, so that a partition's share has room for the next one while this is held. */
  pullBytes(wantedBytes: number, partitionCount: number): number {
    const halfShare = Math.floor(this.#pulledMax / Math.max(1, partitionCount) / 2)
    return Math.min(wantedBytes, Math.max(PULL_BYTES_MIN, halfShare))
  }

  /**
   * Reserves a pull, or refuses. `partitionBytes` is what its partition holds already: 0 is always allowed, and
   * otherwise a partition may hold its equal share of `partitionCount`, so that one slow processor never holds all.
   */
  tryPull(pullBytes: number, partitionBytes: number, partitionCount: number): boolean {
    const share = this.#pulledMax / Math.max(1, partitionCount)
    const fits = this.#pulledBytes + pullBytes <= this.#pulledMax && partitionBytes + pullBytes <= share
    if (!fits && partitionBytes > 0) return false
    this.#pulledBytes += pullBytes
    assert(partitionBytes === 0 || this.#pulledBytes <= this.#pulledMax, 'I5: a further pull keeps within the budget')
    return true
  }

  /** A response took the place of its reservation, larger or smaller, or part of it was given back. */
  resize(fromBytes: number, toBytes: number): void {
    this.#pulledBytes += toBytes - fromBytes
    assert(this.#pulledBytes >= 0, 'I5: no byte is given back twice')
  }

  /** Reserves what an open batch decodes to, or refuses. One batch is always allowed. */
  tryOpen(decodedBytes: number): boolean {
    if (this.#openCount > 0 && this.#decodedBytes + decodedBytes > this.#decodedMax) return false
    this.#decodedBytes += decodedBytes
    this.#openCount += 1
    return true
  }

  close(decodedBytes: number): void {
    this.#decodedBytes -= decodedBytes
    this.#openCount -= 1
    assert(this.#decodedBytes >= 0 && this.#openCount >= 0, 'I5: a batch closes once')
  }
}
