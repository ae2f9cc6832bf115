/**
 * Finds `NextOffset` in a response that does not have it at its front.
 *
 * In: a compressed body, untrusted. Out: its next offset, or `undefined` for whatever is wrong with it: the partition's
 * own worker will meet the same, and tells of it with its place. Must never happen: an error; a body that unpacks to more
 * than the limit.
 */
import type { ScoutedAnswer, ScoutTask } from '../src/dispatch/messages.ts'
import { nextOffsetOf } from './decode.ts'
import type { MemoryList } from './kernel/memory-list.ts'

export function scout(task: ScoutTask, memories: MemoryList): ScoutedAnswer {
  const memory = memories.take()
  try {
    return { kind: 'scouted', nextOffset: nextOffsetOf(task, memory, task.responseBytesMax) }
  } catch {
    return { kind: 'scouted', nextOffset: undefined }
  } finally {
    memories.give(memory)
  }
}
