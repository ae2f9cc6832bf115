/**
 * Where a topic's log begins and ends, whatever is committed.
 *
 * In: a topic and a position. Out: offsets by partition. `OffsetType: 1` asks for just that; a site may ignore it (then
 * the committed offset comes), or refuse it. There a group without committed offsets is asked instead: one made for the
 * question and deleted at once. Must never happen: a committed offset taken for the log's own (I6).
 */
import { ClsConsumerError, toClsError } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import type { Settings } from '../options.ts'
import type { Position, World } from '../world.ts'

export type Offsets = ReadonlyMap<number, bigint>

export interface Question {
  readonly topicId: string
  readonly from: Position
  readonly signal: AbortSignal
}

/** Its heartbeats never come; the service only wants a number. */
const GROUP_TIMEOUT_S = 30

/** The consumer's stop waits for this. */
const DELETE_MS_MAX = 5000

/** By `OffsetType: 1`; undefined where the site refuses the parameter. */
export async function askOwnPositions(
  { control }: Pick<World, 'control'>,
  { group }: Pick<Settings, 'group'>,
  { topicId, from, signal }: Question
): Promise<Offsets | undefined> {
  try {
    return await control.describeConsumerOffsets({ group, topicId, from, own: true }, { signal })
  } catch (error) {
    if (error instanceof ClsConsumerError && error.code === 'API_REFUSED') return undefined
    throw error
  }
}

/** Asks by groups of their own, which exist no longer than the question. */
export class OtherGroup {
  readonly #world: Pick<World, 'control' | 'random' | 'log'>
  readonly #open = new Set<Promise<unknown>>()

  constructor(world: Pick<World, 'control' | 'random' | 'log'>) {
    this.#world = world
  }

  /** All of one signal. @throws ClsConsumerError API_… */
  async ask(questions: readonly Question[]): Promise<Offsets[]> {
    const asked = this.#ask(questions)
    const ended = asked.catch(() => undefined)
    this.#open.add(ended)
    try {
      return await asked
    } finally {
      this.#open.delete(ended)
    }
  }

  /** Resolves when no question is open, and so no group left to delete. Each ends soon after its signal. */
  async rest(): Promise<void> {
    await Promise.all(this.#open)
  }

  async #ask(questions: readonly Question[]): Promise<Offsets[]> {
    const { control, random, log } = this.#world
    const group = `cls-consumer-positions-${random.hex(8)}`
    const topicIds = [...new Set(questions.map(({ topicId }) => topicId))]
    log.info('asking by a group of its own: the positions that were told may be committed offsets', { group })
    try {
      await control.createConsumerGroup({ group, timeoutSeconds: GROUP_TIMEOUT_S, topicIds }, signalOf(questions))
      const answers: Offsets[] = []
      for (const { topicId, from, signal } of questions) {
        answers.push(await control.describeConsumerOffsets({ group, topicId, from }, { signal }))
      }
      return answers
    } finally {
      await this.#delete(group)
    }
  }

  /** Also where its making was not answered, or the consumer stops meanwhile: it may be there. */
  async #delete(group: string): Promise<void> {
    try {
      await this.#world.control.deleteConsumerGroup(group, { deadlineMs: DELETE_MS_MAX })
    } catch (thrown) {
      const error = toClsError(thrown)
      if (error.code === 'API_NOT_FOUND') return
      this.#world.log.warn('a group made to ask for positions is left behind: delete it', errorFields(error, { group }))
    }
  }
}

function signalOf([first]: readonly Question[]): { readonly signal?: AbortSignal } {
  return first === undefined ? {} : { signal: first.signal }
}
