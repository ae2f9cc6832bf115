/**
 * ModifyConsumerGroup: gives a group another timeout and another list of topics.
 *
 * The next heartbeats follow the new list. Committed offsets of a topic that leaves stay, so that nothing is read twice
 * when it comes back. Deliberately not done: waiting for consumers of a topic that leaves.
 */
import type { ControlAction } from '../plane.ts'
import { requireGroup } from '../state.ts'
import { readGroup } from './create-consumer-group.ts'

export const modifyConsumerGroup: ControlAction = (request, state) => {
  const group = requireGroup(request, state)
  const { timeoutSeconds, topicIds } = readGroup(request, state)
  group.timeoutSeconds = timeoutSeconds
  group.topicIds = topicIds
  return {}
}
