/**
 * Judges what partitions pass unprocessed: I1, I6, and that nothing is given up before its last attempt.
 *
 * In: attempts that fail, what consumers tell of skips and dead letters, and the bytes of letters once a disk has them for
 * sure. Out: findings, and messages that need nobody any more. A skip is believed where the policy orders it and all
 * attempts were made; a dead letter only once it is on disk, whatever its consumer says.
 */
import type { FailurePolicy } from '../../src/dispatch/messages.ts'
import { decodeRecord, type StoredLetter } from '../../src/failure/dead-letter-record.ts'
import type { DeadLetteredEvent, SkippedEvent } from '../../src/last-resort.ts'
import { partitionKey } from './asked.ts'
import type { Findings } from './findings.ts'
import { namesIn } from './identity.ts'
import { nextFirst, type Party } from './party.ts'
import type { PartitionStock, Stock } from './stock.ts'

export interface GivenUpFacts {
  readonly onFailure: FailurePolicy
  readonly attempts: number
  step(): number
}

/** Failures of one batch, by whose code it was. */
interface Failures {
  attemptCount: number
  refusalCount: number
}

const LINE_FEED = 0x0a
/** Codes of what is given up without another attempt: none would read it, or copy it. */
const WITHOUT_ATTEMPTS = ['MESSAGE_CORRUPT', 'BODY_CORRUPT', 'NEXT_OFFSET_STUCK', 'RESULT_NOT_CLONEABLE']

export class GivenUp {
  readonly #stock: Stock
  readonly #findings: Findings
  readonly #facts: GivenUpFacts
  /** By consumer, partition, and the message that the batch begins with. */
  readonly #failures = new Map<string, Failures>()

  constructor(stock: Stock, findings: Findings, facts: GivenUpFacts) {
    this.#stock = stock
    this.#findings = findings
    this.#facts = facts
  }

  /** `process` threw, or its thread died with the batch. */
  attemptFailed(party: Party, key: string, startOffset: bigint): void {
    const failures = this.#failuresOf(party, key, startOffset)
    if (failures !== undefined) failures.attemptCount += 1
  }

  resultRefused(party: Party, key: string, startOffset: bigint): void {
    const failures = this.#failuresOf(party, key, startOffset)
    if (failures !== undefined) failures.refusalCount += 1
  }

  /** The user's own order passes them. */
  skipped(party: Party, event: SkippedEvent): void {
    const stock = this.#stock.find(partitionKey(event.topicId, event.partition))
    if (stock === undefined) return
    this.#check(party, stock, 'skip', event)
    const isOfMessages = event.kind === 'messages'
    // It may be given up before this counts.
    stock.excuse = { step: this.#facts.step(), reason: 'something of it is skipped' }
    for (const message of stock.between(event.startOffset, event.nextOffset)) {
      if (isOfMessages && !message.isPoison) continue
      message.isWaived = true
      stock.freed(message.ids)
    }
    passed(party, stock, event.startOffset, event.nextOffset)
  }

  /** Its consumer says so; the disk will tell. */
  deadLettered(party: Party, event: DeadLetteredEvent): void {
    const { topicId, partition, startOffset, nextOffset, error } = event
    const stock = this.#stock.find(partitionKey(topicId, partition))
    if (stock === undefined || nextOffset === undefined) return
    if (error !== undefined) this.#check(party, stock, 'dead-letter', { startOffset, error })
    passed(party, stock, startOffset, nextOffset)
  }

  /** Bytes of a file of letters are on disk for sure. */
  kept(bytes: Buffer): void {
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf(LINE_FEED, from)
      const reading = decodeRecord(bytes.subarray(from, end < 0 ? bytes.length : end))
      if (reading.kind === 'letter') this.#keep(reading.letter)
      else this.#findings.add('letter', `a record that was synced cannot be read: ${reading.what}`)
      from = end < 0 ? bytes.length : end + 1
    }
  }

  #keep(letter: StoredLetter): void {
    const { topicId, partition, startOffset } = letter
    const stock = this.#stock.find(partitionKey(topicId, partition))
    if (stock === undefined) return
    const ids = letter.kind === 'body' ? firstOf(stock, startOffset) : namesIn(payloadOf(letter))
    if (ids.length === 0 && letter.kind !== 'body') {
      this.#findings.add('letter', `a letter of ${stock.key}:${startOffset} holds no log`)
    }
    const step = this.#facts.step()
    // Its consumer has yet to hear of it, and may give the partition up meanwhile.
    stock.excuse = { step, reason: 'its letters were being written' }
    for (const id of ids) this.#keepLog(stock, letter, id, step)
    stock.freed(ids)
  }

  #keepLog(stock: PartitionStock, { kind, startOffset }: StoredLetter, id: string, step: number): void {
    const message = stock.holding(id, startOffset)
    if (message === undefined) {
      this.#findings.add('letter', `a letter of ${stock.key}:${startOffset} holds ${id}, which is not there`)
      return
    }
    message.kept.add(id)
    if (kind === 'log' || kind === 'group') {
      if (!message.asked.has(id)) {
        this.#findings.add('letter', `a letter holds ${id}, of an attempt that did not come to its end`)
      }
      return
    }
    if (this.#facts.onFailure !== 'dead-letter') {
      this.#findings.add('letter', `${id} is dead-lettered, and the policy is ${this.#facts.onFailure}`)
    }
    if (message.ids.every(other => message.kept.has(other))) message.done ??= { fromStep: step, toStep: step }
  }

  #check(
    party: Party,
    stock: PartitionStock,
    policy: FailurePolicy,
    { startOffset, error }: Pick<SkippedEvent, 'startOffset' | 'error'>
  ): void {
    const { onFailure, attempts } = this.#facts
    const place = `${party.name} with the batch of ${stock.key} from ${startOffset}`
    if (onFailure !== policy)
      this.#findings.add('I6', `${place}: given up by ${policy}, and the policy is ${onFailure}`)
    const { attemptCount, refusalCount } = this.#failuresOf(party, stock.key, startOffset) ?? NONE
    if (WITHOUT_ATTEMPTS.includes(error.code)) return
    const count = error.code === 'ON_RESULT_FAILED' ? refusalCount : attemptCount
    if (count < attempts) {
      this.#findings.add('retry', `${place}: given up for ${error.code} after ${count} of ${attempts} attempts`)
    }
  }

  #failuresOf(party: Party, key: string, startOffset: bigint): Failures | undefined {
    const first = this.#stock.find(key)?.indexAt(startOffset)
    if (first === undefined) return undefined
    const name = `${party.name} ${key} ${first}`
    const known = this.#failures.get(name)
    if (known !== undefined) return known
    const begun = { attemptCount: 0, refusalCount: 0 }
    this.#failures.set(name, begun)
    return begun
  }
}

const NONE: Failures = { attemptCount: 0, refusalCount: 0 }

/** The epoch goes on behind it, if it is the batch's own: letters may be written while the partition is repositioned. */
function passed(party: Party, stock: PartitionStock, startOffset: bigint, nextOffset: bigint): void {
  const progress = party.progress.get(stock.key)
  const visited = party.visited.get(stock.key)
  const first = stock.indexAt(startOffset)
  if (progress === undefined || (visited?.first === first && visited.epoch !== progress.epoch)) return
  // What nobody can decode comes to no processor: it stands where the next batch is due.
  if (visited?.first !== first && stock.pastPoison(nextFirst(progress)) !== stock.pastPoison(first)) return
  const end = stock.indexAt(nextOffset)
  progress.settled = Math.max(progress.settled, end)
  progress.last = { first, end, outcome: 'returned' }
}

/** Of a body that nobody can read, only where it begins is known. */
function firstOf(stock: PartitionStock, startOffset: bigint): readonly string[] {
  const message = stock.messages[stock.indexAt(startOffset)]
  return message?.offset === startOffset ? message.ids : []
}

/** The bytes in which the names of its logs stand as they are. */
function payloadOf(letter: StoredLetter): Buffer {
  const raw = letter.readRaw()
  return letter.kind === 'message' ? Buffer.from(raw.toString('latin1').slice(1, -1), 'base64') : raw
}
