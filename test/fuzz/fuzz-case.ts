/**
 * One case of the fuzzer: a response that is right but for damage at one layer.
 *
 * In: a seed and a case's number, which alone decide all of it. Out: how far it got. Throws where the kernel and the
 * reference disagree; where what the memory held before makes any difference; where more memory was taken than a response
 * of that size may need; where anything but a typed error, a trap of the kernel among them, comes out.
 */
import assert from 'node:assert/strict'
import type { BatchTask } from '../../src/dispatch/messages.ts'
import { Dice, mixSeeds } from './dice.ts'
import { drawResponse } from './draw-response.ts'
import { mutate } from './mutate.ts'
import { assertSame, type Outcome } from './outcome.ts'
import { readResponse } from './read-response.ts'
import { referenceOutcome } from './reference.ts'
import { buildTask, LAYERS, type Layer, type MessagePlan, type ResponsePlan } from './response-plan.ts'
import { type Stage, WatchedMemory } from './watched-memory.ts'

export interface CaseResult {
  /** Where the damage was done. */
  readonly damaged: Layer
  readonly reached: ReadonlySet<Stage>
  /** Whether the response was read, with however many messages poisoned. */
  readonly isRead: boolean
}

/** Far above what is drawn, so that only damage makes a response too large. */
export const RESPONSE_BYTES_MAX = 2 ** 18
/**
 * Bytes of memory for each byte of a response: its text, the table of its messages, eight bytes for each three at the
 * most, and the index, which is largest for a group of empty logs: 32 bytes for each four of payload.
 */
const MEMORY_RATIO_MAX = 12
/** What even an empty response takes: a page, and the first size of each table. */
const MEMORY_BYTES_MIN = 2 ** 17
/** The reference tells nearly all that reading in another memory would tell. */
const READ_TWICE_ONE_IN = 4
/** Larger than that, a memory would take too long to fill. */
const MEMORY_KEPT_MAX = 2 ** 19

/** Not a word of it may be met in any view. Base64, JSON and protobuf all go on in it. */
const SECRET = 'SecretOfAnotherResponse'
const LEFTOVERS = Buffer.from(
  `${SECRET}"],"Message":["AAAAgg${SECRET}==\x12\x0a\x0a\x03key\x12\x17${SECRET}\x08\x01`,
  'latin1'
)
/** No byte is the same: what reads one of the leftovers reads another each time. */
const OTHER_LEFTOVERS = Buffer.from(LEFTOVERS.map(byte => byte ^ 0xff))

export class FuzzBench {
  #memory = new WatchedMemory()

  /** @throws Error where something is wrong, with the response. */
  play(seed: number, caseNumber: number): CaseResult {
    const dice = new Dice(mixSeeds(seed, caseNumber))
    const plan = drawResponse(dice, Number.POSITIVE_INFINITY)
    const messages = messagesOf(plan)
    const damaged = LAYERS[dice.below(messages.length === 0 ? 2 : LAYERS.length)] ?? 'json'
    const of = messages[dice.below(messages.length)]
    const task = buildTask(plan, { layer: damaged, of, edit: bytes => mutate(dice, bytes) })
    return { damaged, ...this.#check(task, caseNumber % READ_TWICE_ONE_IN === 0) }
  }

  #check(task: BatchTask, isReadTwice: boolean): Omit<CaseResult, 'damaged'> {
    const expected = referenceOutcome(task, RESPONSE_BYTES_MAX)
    const first = this.#read(task, LEFTOVERS)
    const reached = new Set(this.#memory.reached)
    this.#assertModest(task, expected)
    assertSame(first.outcome, expected)
    const printed = JSON.stringify(first)
    assert.ok(!printed.includes(SECRET), 'another response is read')
    if (isReadTwice) {
      const again = JSON.stringify(this.#read(task, OTHER_LEFTOVERS))
      assert.equal(again, printed, 'what the memory held before makes a difference')
    }
    return { reached, isRead: 'groups' in first.outcome }
  }

  #read(task: BatchTask, leftovers: Uint8Array): ReturnType<typeof readResponse> {
    if (this.#memory.byteCount > MEMORY_KEPT_MAX) this.#memory = new WatchedMemory()
    this.#memory.beginAfter(leftovers)
    return readResponse(task, this.#memory, RESPONSE_BYTES_MAX)
  }

  #assertModest({ byteCount }: BatchTask, expected: Outcome): void {
    const plainBytes = plainBytesOf(expected)
    const limit = MEMORY_BYTES_MIN + byteCount + plainBytes * MEMORY_RATIO_MAX
    const { neededBytes } = this.#memory
    assert.ok(neededBytes <= limit, `${byteCount} bytes of body took ${neededBytes} bytes, more than ${limit}`)
  }
}

/** As large as it may be, where a refusal does not say how large it is. */
function plainBytesOf(outcome: Outcome): number {
  if ('groups' in outcome) return outcome.responseBytes
  return outcome.code === 'BODY_TOO_LARGE' ? 0 : RESPONSE_BYTES_MAX
}

function messagesOf(plan: ResponsePlan): MessagePlan[] {
  return plan.members
    .flatMap(({ value }) => (typeof value === 'string' ? [] : value))
    .filter(message => typeof message !== 'string')
}
