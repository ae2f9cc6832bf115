/**
 * CreateConsumerGroup: a new group that reads topics of the logset, without members and committed offsets.
 *
 * Deliberately not done: limits on the number of groups, and telling groups of two logsets apart (there is one logset).
 */
import { Group } from '../group.ts'
import type { ControlAction } from '../plane.ts'
import { type FieldReader, Refusal } from '../refusal.ts'
import { type EmulatorState, requireLogset, requireTopic } from '../state.ts'

const NAME = /^[A-Za-z0-9._-]{1,255}$/

/** Seconds; as long as any client could want, and a bound all the same. */
const TIMEOUT_MAX_SECONDS = 86_400

export const createConsumerGroup: ControlAction = (request, state) => {
  requireLogset(request, state)
  const name = request.text('ConsumerGroup')
  if (!NAME.test(name)) throw request.invalid('ConsumerGroup', 'letters, digits, `.`, `_` and `-`, 255 at most')
  const { timeoutSeconds, topicIds } = readGroup(request, state)
  // Clients tell this case by the message alone: the service leaves no code for it.
  if (state.groups.has(name)) throw new Refusal('FailedOperation', `consumer group already exists: ${name}`)
  state.groups.set(name, new Group(name, timeoutSeconds, topicIds))
  return { ConsumerGroup: name }
}

/** What a group is made of, in creating and in modifying. */
export function readGroup(
  request: FieldReader,
  state: EmulatorState
): { readonly timeoutSeconds: number; readonly topicIds: string[] } {
  const timeoutSeconds = request.integer('Timeout')
  if (timeoutSeconds < 1 || timeoutSeconds > TIMEOUT_MAX_SECONDS) {
    throw request.invalid('Timeout', `1 to ${TIMEOUT_MAX_SECONDS} seconds`)
  }
  const topicIds = [...new Set(request.texts('Topics'))]
  if (topicIds.length === 0) throw request.missing('Topics')
  for (const topicId of topicIds) requireTopic(topicId, state)
  return { timeoutSeconds, topicIds }
}
