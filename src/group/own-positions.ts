/**
 * Where a topic's log begins and ends, whatever is committed.
 *
 * In: a topic and a position. Out: offsets by partition. `OffsetType: 1` asks for just that; a site may ignore it (then
 * the committed offset comes), or refuse it. There a group without committed offsets is asked instead: one made for the
 * question and deleted at once. Must never happen: a committed offset taken for the log's own (I6).
 */
import { ClsConsumerError } from '../errors.ts'
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

/** By a group of its own, which exists no longer than the question. */
export async function askByOtherGroup(
  { control, random, log }: Pick<World, 'control' | 'random' | 'log'>,
  questions: readonly Question[]
): Promise<Offsets[]> {
  const [first] = questions
  if (first === undefined) return []
  const { signal } = first
  const group = `cls-consumer-positions-${random.hex(8)}`
  const topicIds = [...new Set(questions.map(({ topicId }) => topicId))]
  await control.createConsumerGroup({ group, timeoutSeconds: GROUP_TIMEOUT_S, topicIds }, { signal })
  log.info('asking by a group of its own: this site does not tell positions beside committed ones', { group })
  try {
    const answers: Offsets[] = []
    for (const { topicId, from } of questions) {
      answers.push(await control.describeConsumerOffsets({ group, topicId, from }, { signal }))
    }
    return answers
  } finally {
    // Also where the consumer stops meanwhile: the call has its own deadline.
    await control.deleteConsumerGroup(group).catch((error: unknown) => {
      log.warn('a group made to ask for positions is left behind: delete it', { group, error: String(error) })
    })
  }
}
