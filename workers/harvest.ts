/**
 * Takes a response apart for the dead letters: its messages, each as it stands there, whether it decodes or not.
 *
 * In: a compressed body, untrusted. Out: the next offset, whatever it is, and every message; or why the response cannot
 * be read. Must never happen: a message left out; a body that unpacks to more than the limit.
 */
import type { FailedAnswer, HarvestedAnswer, HarvestTask } from '../src/dispatch/messages.ts'
import { ClsConsumerError, toFailure } from '../src/errors.ts'
import { decompressInto } from './kernel/decompress.ts'
import { findMessages } from './kernel/find-messages.ts'
import type { KernelMemory } from './kernel/memory.ts'
import type { MemoryList } from './kernel/memory-list.ts'

/**
 * A message of two bytes takes hundreds, once it is a value of its own. So many of the shortest that decode, 128
 * characters of base64 each, are 64 MiB of response.
 */
const MESSAGES_MAX = 524_288

export function harvest(task: HarvestTask, memories: MemoryList): HarvestedAnswer | FailedAnswer {
  let memory: KernelMemory | undefined
  try {
    memory = memories.take()
    return harvestIn(memory, task)
  } catch (error) {
    return { kind: 'failed', stage: 'decode', failure: toFailure(error, 'BODY_CORRUPT') }
  } finally {
    if (memory !== undefined) memories.give(memory)
  }
}

/** @throws ClsConsumerError BODY_TOO_LARGE, BODY_CORRUPT, API_REFUSED */
function harvestIn(memory: KernelMemory, task: HarvestTask): HarvestedAnswer {
  const body = new Uint8Array(task.body, 0, task.byteCount)
  const plain = decompressInto(memory, body, task.compression, task.responseBytesMax)
  const { nextOffset, messageCount, raw } = findMessages(memory, plain, {})
  if (messageCount > MESSAGES_MAX) {
    const what = `a response of ${messageCount} messages, more than ${MESSAGES_MAX}, is not taken apart`
    throw new ClsConsumerError('BODY_TOO_LARGE', what)
  }
  return { kind: 'harvested', nextOffset, messages: Array.from({ length: messageCount }, (_, index) => raw(index)) }
}
