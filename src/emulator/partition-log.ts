/**
 * The messages of one partition, in offset order.
 *
 * In: messages with the moment they came; retention. Out: ranges of them by offset, time and size. Offsets are int64,
 * grow, and may have gaps; times never go back within a partition, even where the clock does, so that both can be
 * found by halving. An offset, once given to a message, is never given to another.
 */

export interface StoredMessage {
  readonly offset: bigint
  /** When it came, on the emulator's clock. */
  readonly receiptMs: number
  /** Header and payload, as a pull hands them out. */
  readonly bytes: Uint8Array
}

export interface LogRules {
  readonly startOffset: bigint
  readonly gapEvery: number
  readonly gapOffsets: bigint
  readonly retentionBytes: number
  readonly retentionMs: number
}

/** Which messages a pull asks for. */
export interface Window {
  readonly fromOffset: bigint
  /** Received at this moment or later. */
  readonly startMs: number
  /** Received before this moment; infinite for no end. */
  readonly endMs: number
  /** Bytes of messages; the first message comes even where it is larger. */
  readonly sizeBytes: number
  readonly messageCountMax: number
}

export interface Slice {
  readonly messages: readonly StoredMessage[]
  /** What the next stored message after these is: within the window (the size cut here), past its end, or none yet. */
  readonly followedBy: 'more' | 'past-end' | 'nothing'
}

export class PartitionLog {
  readonly #rules: LogRules
  #messages: StoredMessage[] = []
  /** Index of the first message that retention has left. */
  #head = 0
  #begin: bigint
  #end: bigint
  #storedBytes = 0
  #appendCount = 0
  #lastReceiptMs = Number.NEGATIVE_INFINITY

  constructor(rules: LogRules) {
    this.#rules = rules
    this.#begin = rules.startOffset
    this.#end = rules.startOffset
  }

  /** The first offset that can be read. */
  get begin(): bigint {
    return this.#begin
  }

  /** One more than the last message's offset; the next message may get a larger one, where a gap is due. */
  get end(): bigint {
    return this.#end
  }

  get messageCount(): number {
    return this.#messages.length - this.#head
  }

  get storedBytes(): number {
    return this.#storedBytes
  }

  /** When the last message came; undefined where none ever did. */
  get lastReceiptMs(): number | undefined {
    return this.#appendCount === 0 ? undefined : this.#lastReceiptMs
  }

  /** Stores what `encode` makes of the moment of receipt. */
  append(nowMs: number, encode: (receiptMs: number) => Uint8Array): StoredMessage {
    const { gapEvery, gapOffsets } = this.#rules
    this.#appendCount += 1
    const gapDue = gapEvery > 0 && this.#appendCount % gapEvery === 0
    const receiptMs = Math.max(nowMs, this.#lastReceiptMs)
    const offset = gapDue ? this.#end + gapOffsets : this.#end
    const message = { offset, receiptMs, bytes: encode(receiptMs) }
    this.#messages.push(message)
    this.#lastReceiptMs = receiptMs
    this.#end = offset + 1n
    this.#storedBytes += message.bytes.length
    this.retire(nowMs)
    return message
  }

  /** Drops what is too old or too much. The begin moves to the offset after the last message dropped. */
  retire(nowMs: number): void {
    const { retentionBytes, retentionMs } = this.#rules
    for (let oldest = this.#messages[this.#head]; oldest !== undefined; oldest = this.#messages[this.#head]) {
      if (this.#storedBytes <= retentionBytes && nowMs - oldest.receiptMs <= retentionMs) break
      this.#head += 1
      this.#begin = oldest.offset + 1n
      this.#storedBytes -= oldest.bytes.length
    }
    // The dead front goes once it is the larger part: each message is then moved at most once on average.
    if (this.#head > this.#messages.length / 2) {
      this.#messages = this.#messages.slice(this.#head)
      this.#head = 0
    }
  }

  read(window: Window): Slice {
    const messages: StoredMessage[] = []
    let sizeBytes = 0
    let index = this.#indexOf(m => m.offset >= window.fromOffset && m.receiptMs >= window.startMs)
    for (; index < this.#messages.length; index++) {
      const message = this.#messages[index]
      if (message === undefined) break
      if (message.receiptMs >= window.endMs) return { messages, followedBy: 'past-end' }
      sizeBytes += message.bytes.length
      const isFull = sizeBytes > window.sizeBytes || messages.length >= window.messageCountMax
      if (messages.length > 0 && isFull) return { messages, followedBy: 'more' }
      messages.push(message)
    }
    return { messages, followedBy: 'nothing' }
  }

  /** The offset of the first message received at `timeMs` or later; the end where there is none. */
  offsetAt(timeMs: number): bigint {
    return this.#messages[this.#indexOf(m => m.receiptMs >= timeMs)]?.offset ?? this.#end
  }

  /** Index of the first message for which `reached` holds; it must hold for all after it, too. */
  #indexOf(reached: (message: StoredMessage) => boolean): number {
    let low = this.#head
    let high = this.#messages.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const message = this.#messages[middle]
      if (message !== undefined && reached(message)) high = middle
      else low = middle + 1
    }
    return low
  }
}
