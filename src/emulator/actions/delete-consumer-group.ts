/**
 * DeleteConsumerGroup: forgets a group and all its committed offsets. Refused while a member is alive.
 *
 * Deliberately not done: a grace period for members that have just left; one that fell silent counts until the timeout.
 */
import type { ControlAction } from '../plane.ts'
import { Refusal } from '../refusal.ts'
import { requireGroup } from '../state.ts'

export const deleteConsumerGroup: ControlAction = (request, state, nowMs) => {
  const group = requireGroup(request, state)
  const alive = [...group.members(nowMs).keys()]
  if (alive.length > 0) {
    const names = alive.join(', ')
    throw new Refusal('OperationDenied', `the consumer group ${group.name} still has consumers: ${names}`)
  }
  state.groups.delete(group.name)
  return {}
}
