/**
 * Where a connection reads to: memory that is used again. Byte-level.
 *
 * In: how much each read has brought, and how much of it all has not been taken. Out: where the next one goes. Must never
 * happen: a piece of memory that is read into while what stands there has not been taken.
 *
 * Left to itself, Node allocates 64 KB for each read, and only a collection gives that back: at hundreds of MB/s, several
 * collections a second of the main thread. undici takes what has come before the next read, as a rule; where it does not
 * (it is paused, or nobody listens yet), the next read goes to memory of its own.
 */

/** What Node reads at a time. */
const READ_BYTES = 64 * 1024

/** Two pieces in turn: one is read into while what stands in the other is taken. */
export class ReadPieces {
  readonly #unreadBytes: () => number
  #pieces: readonly [Buffer, Buffer] = [Buffer.allocUnsafeSlow(READ_BYTES), Buffer.allocUnsafeSlow(READ_BYTES)]
  #lastBytes = 0

  /** `unreadBytes`: how much has come, that of the last read included, and has not been taken. */
  constructor(unreadBytes: () => number) {
    this.#unreadBytes = unreadBytes
  }

  /** The last read has brought so much. */
  filled(byteCount: number): void {
    this.#lastBytes = byteCount
  }

  /** Where the next read goes. */
  next(): Buffer {
    const [last, other] = this.#pieces
    // More than the last read is unread: the other piece may hold some of it.
    const isTaken = this.#unreadBytes() <= this.#lastBytes
    this.#pieces = [isTaken ? other : Buffer.allocUnsafeSlow(READ_BYTES), last]
    return this.#pieces[0]
  }
}
