/**
 * The pulls of one partition that are under way or wait for the head, and every byte that the partition holds.
 *
 * In: pulls to be sent, bodies, batches that are done. Out: the pulls in offset order. Must never happen: a pull
 * without its reservation, a byte given back twice (I5), a pull dropped from the middle: each is based on the one
 * before it.
 *
 *   [ head … tip ]   dropped from any index on; the head leaves it as a batch, whose bytes stay held until it is freed
 */
import type { Batch } from '../batch.ts'
import { assert } from '../errors.ts'
import type { DataApi, PulledBody } from '../world.ts'
import type { ByteBudget } from './budget.ts'
import type { PullBound } from './next-offset.ts'

export interface Pull {
  readonly startOffset: bigint
  /** What it was sent with: -1 is the end of a bounded pull alone, and "nothing now" to one sent before the bound. */
  readonly bound: PullBound | undefined
  /** `Size` of the request. */
  readonly askedSize: number
  readonly abort: AbortController
  /** What it counts in the budget: its reservation, then its body. */
  byteCount: number
  /**
   * Whether the front of its body may still tell the next offset. ignored: nothing is pulled behind it before the
   * worker's word, whatever its front says.
   */
  front: 'sought' | 'told' | 'silent' | 'ignored'
  peekedOffset: bigint | undefined
  body: PulledBody | undefined
}

/** What a batch costs beside its bytes, in this process and its threads. Bounds their number, too (I8). */
const BATCH_OVERHEAD_BYTES = 8 * 1024

export class PullList {
  readonly #budget: ByteBudget
  readonly #data: Pick<DataApi, 'free'>
  #pulls: readonly Pull[] = []
  /** Under way, waiting here, and handed on but not freed. */
  #heldBytes = 0

  constructor(budget: ByteBudget, data: Pick<DataApi, 'free'>) {
    this.#budget = budget
    this.#data = data
  }

  get count(): number {
    return this.#pulls.length
  }

  get head(): Pull | undefined {
    return this.#pulls[0]
  }

  get tip(): Pull | undefined {
    return this.#pulls.at(-1)
  }

  has(pull: Pull): boolean {
    return this.#pulls.includes(pull)
  }

  /** A pull behind the tip, with its bytes reserved; `undefined` where the budget has no room for it. */
  tryAdd(
    ask: Pick<Pull, 'startOffset' | 'bound' | 'askedSize' | 'front'>,
    reservedBytes: number,
    partitionCount: number
  ): Pull | undefined {
    if (!this.#budget.tryPull(reservedBytes, this.#heldBytes, partitionCount)) return undefined
    this.#heldBytes += reservedBytes
    const pull: Pull = {
      ...ask,
      abort: new AbortController(),
      byteCount: reservedBytes,
      peekedOffset: undefined,
      body: undefined
    }
    this.#pulls = [...this.#pulls, pull]
    return pull
  }

  /** Its body takes the place of its reservation. */
  complete(pull: Pull, body: PulledBody): void {
    this.#resize(pull, heldBytesOf(body))
    pull.body = body
  }

  /** The head leaves as a batch: its bytes are held until `free`. */
  handOnHead(): void {
    this.#pulls = this.#pulls.slice(1)
  }

  /** A batch that was handed on is done or dropped. */
  free(batch: Batch): void {
    const byteCount = heldBytesOf(batch.body)
    this.#budget.resize(byteCount, 0)
    this.#heldBytes -= byteCount
    assert(this.#heldBytes >= 0, 'I5: a batch is freed once')
    this.#data.free(batch.body)
  }

  /** The head held no log: what is based on it stays. */
  dropHead(): void {
    const pull = this.head
    this.#pulls = this.#pulls.slice(1)
    if (pull !== undefined) this.#end(pull)
  }

  /** This pull and all that are based on it. Those under way are aborted; they still settle, and are ignored then. */
  dropFrom(pull: Pull): void {
    const index = this.#pulls.indexOf(pull)
    assert(index >= 0, 'I5: a pull is dropped once')
    const dropped = this.#pulls.slice(index)
    this.#pulls = this.#pulls.slice(0, index)
    for (const each of dropped) this.#end(each)
  }

  dropAll(): void {
    if (this.head !== undefined) this.dropFrom(this.head)
  }

  /** Its body too, if it has come: nobody has read it but the peek. */
  #end(pull: Pull): void {
    this.#resize(pull, 0)
    if (pull.body === undefined) pull.abort.abort()
    else this.#data.free(pull.body)
  }

  #resize(pull: Pull, byteCount: number): void {
    this.#budget.resize(pull.byteCount, byteCount)
    this.#heldBytes += byteCount - pull.byteCount
    pull.byteCount = byteCount
  }
}

function heldBytesOf({ bytes }: PulledBody): number {
  return bytes.byteLength + BATCH_OVERHEAD_BYTES
}
