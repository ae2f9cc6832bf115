/**
 * Makes the consumer group what the settings say, changing as little as possible.
 *
 * In: the group's name, timeout and topics. Out: the group exists with exactly these. Must never happen: topics that
 * another consumer brought in are removed unless `updateGroup` says so.
 */
import { ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'
import type { ConsumerGroup, World } from '../world.ts'

export type GroupChange =
  | { readonly kind: 'none' | 'create' | 'modify' }
  | { readonly kind: 'refuse'; readonly foreignTopicIds: readonly string[] }

/** What to do about a group that should be `wanted` and is `found`. */
export function decideGroup(
  wanted: ConsumerGroup,
  found: ConsumerGroup | undefined,
  updateGroup: boolean
): GroupChange {
  if (found === undefined) return { kind: 'create' }
  const foreignTopicIds = found.topicIds.filter(topicId => !wanted.topicIds.includes(topicId))
  if (foreignTopicIds.length > 0 && !updateGroup) return { kind: 'refuse', foreignTopicIds }
  const lacksNone = wanted.topicIds.every(topicId => found.topicIds.includes(topicId))
  const isSame = lacksNone && foreignTopicIds.length === 0 && found.timeoutSeconds === wanted.timeoutSeconds
  return { kind: isSame ? 'none' : 'modify' }
}

/**
 * @throws ClsConsumerError GROUP_TOPICS where the group has topics that the settings lack; API_… otherwise.
 */
export async function ensureGroup(
  world: Pick<World, 'control' | 'log'>,
  settings: Settings,
  signal: AbortSignal
): Promise<void> {
  const { control, log } = world
  const wanted: ConsumerGroup = {
    group: settings.group,
    timeoutSeconds: (2 * settings.heartbeatIntervalMs) / 1000,
    topicIds: settings.topicIds
  }
  // A group that another consumer creates between our look and our creation is looked at once more.
  for (const isLastLook of [false, true]) {
    const groups = await control.describeConsumerGroups([], { signal })
    const found = groups.find(candidate => candidate.group === wanted.group)
    const change = decideGroup(wanted, found, settings.updateGroup)
    if (change.kind === 'none') return
    if (change.kind === 'refuse') throw refusal(settings, change.foreignTopicIds)
    if (change.kind === 'modify' || isLastLook) {
      await control.modifyConsumerGroup(wanted, { signal })
      log.info('group modified', { group: wanted.group, timeoutSeconds: wanted.timeoutSeconds })
      return
    }
    if (await control.createConsumerGroup(wanted, { signal })) {
      log.info('group created', { group: wanted.group, timeoutSeconds: wanted.timeoutSeconds })
      return
    }
  }
}

/** Whether the service still knows the group. */
export async function isGroupThere(
  { control }: Pick<World, 'control'>,
  { group }: Pick<Settings, 'group'>,
  signal: AbortSignal
): Promise<boolean> {
  const groups = await control.describeConsumerGroups([], { signal })
  return groups.some(candidate => candidate.group === group)
}

function refusal(settings: Settings, foreignTopicIds: readonly string[]): ClsConsumerError {
  return new ClsConsumerError(
    'GROUP_TOPICS',
    `consumer group ${settings.group} also reads ${foreignTopicIds.join(', ')}, which topicIds lacks: ` +
      'list these topics too, use another group, or set updateGroup to remove them from it'
  )
}
