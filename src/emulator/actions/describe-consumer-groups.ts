/**
 * DescribeConsumerGroups: all groups of the logset, or those that read one of the topics named.
 *
 * Deliberately not done: paging, and members (the service does not tell them either).
 */
import type { ControlAction } from '../plane.ts'
import { requireLogset } from '../state.ts'

export const describeConsumerGroups: ControlAction = (request, state) => {
  requireLogset(request, state)
  const wanted = new Set(request.texts('Topics'))
  const groups = [...state.groups.values()].filter(
    group => wanted.size === 0 || group.topicIds.some(topicId => wanted.has(topicId))
  )
  return {
    ConsumerGroupsInfo: groups.map(group => ({
      ConsumerGroup: group.name,
      Timeout: group.timeoutSeconds,
      Topics: [...group.topicIds]
    }))
  }
}
