/**
 * Our way to decode a response: what a worker thread does for a batch, and then a processor's loop.
 *
 * In: a body. Out: a batch, and loops over it. As in `workers/open-batch.ts`: a memory of the thread's list, the index,
 * the views; closed and given back after each response, so that the next finds the memory warm, and every check is made.
 */
import type { BatchTask } from '../src/dispatch/messages.ts'
import { KEPT_SHARE, OPTIONS } from '../src/options.ts'
import { type LogBatch, type OpenBatch, openBatch } from '../workers/batch-view.ts'
import { decodeResponse } from '../workers/decode.ts'
import { decompressInto } from '../workers/kernel/decompress.ts'
import { KernelMemory } from '../workers/kernel/memory.ts'
import { MemoryList } from '../workers/kernel/memory-list.ts'
import type { Body } from './corpus.ts'
import type { OurId, Work } from './decode/contenders.ts'
import { PartTimer } from './decode/part-timer.ts'
import { digestOf, digestOfObjects } from './digest.ts'
import { PAYLOADS, START_OFFSET } from './payloads.ts'

/** The defaults of a consumer, with as many threads as a large host has cores: the least that a thread may keep. */
const RESPONSE_BYTES_MAX = OPTIONS.responseBytesMax.default
const THREAD_COUNT = 16
export const KEPT_BYTES_MAX = (OPTIONS.heldBytesMax.default * KEPT_SHARE) / THREAD_COUNT

export function makeOurs(id: OurId, { name, bytes }: Body): Work {
  const task = taskOf(bytes)
  const { key, text } = PAYLOADS[name].filter
  const memories = new MemoryList(KEPT_BYTES_MAX, () => performance.now())
  const onBatch = <T>(use: (batch: LogBatch) => T): T => openAndClose(task, memories, use)
  switch (id) {
    case 'ours-equals':
      return filterWork(() => onBatch(batch => countEqual(batch, key, text)))
    case 'ours-get':
      return filterWork(() => onBatch(batch => countGotten(batch, key, text)))
    case 'ours-objects':
      return {
        once: () => onBatch(batch => batch.toObjects().length),
        digest: () => digestOfObjects(onBatch(batch => batch.toObjects()))
      }
    case 'ours-index':
      return filterWork(() => indexOnly(task, memories))
    case 'ours-loop':
      return loopWork(task, key, text)
    case 'kernel-snappy':
      return onTheWay(bytes, () => onBatch(batch => countEqual(batch, key, text)))
    case 'kernel-snappy-alone':
      return snappyWork(bytes)
  }
}

export function openAndClose<T>(task: BatchTask, memories: MemoryList, use: (batch: LogBatch) => T): T {
  const memory = memories.take()
  try {
    const { batch, close } = open(task, memory)
    try {
      return use(batch)
    } finally {
      close()
    }
  } finally {
    memories.give(memory)
  }
}

function open(task: BatchTask, memory: KernelMemory): OpenBatch {
  const decoded = decodeResponse(task, memory, RESPONSE_BYTES_MAX, ignore)
  const { nextOffset, messageCount } = decoded
  const { topicId, partition, startOffset } = task
  return openBatch({ topicId, partition, startOffset, nextOffset, messageCount }, decoded)
}

function indexOnly(task: BatchTask, memories: MemoryList): number {
  const memory = memories.take()
  const { logCount } = decodeResponse(task, memory, RESPONSE_BYTES_MAX, ignore)
  memories.give(memory)
  return logCount
}

/** The batch stays open: what is left is the loop. */
function loopWork(task: BatchTask, key: string, text: string): Work {
  const { batch } = open(task, new KernelMemory())
  return filterWork(() => countEqual(batch, key, text))
}

export function countEqual(batch: LogBatch, key: string, text: string): number {
  let n = 0
  for (const log of batch) if (log.equals(key, text)) n++
  return n
}

function countGotten(batch: LogBatch, key: string, text: string): number {
  let n = 0
  for (const log of batch) if (log.get(key) === text) n++
  return n
}

/** The first step by itself, and then the whole way, which leaves the caches as it does in practice. */
function onTheWay(body: Uint8Array, whole: () => number): Work {
  const timer = new PartTimer()
  const { once: uncompress, digest } = snappyWork(body)
  const once = () => {
    const byteCount = timer.time(uncompress)
    whole()
    return byteCount
  }
  return { once, digest, part: timer.sum }
}

function snappyWork(body: Uint8Array): Work {
  const memory = new KernelMemory()
  const plain = () => decompressInto(memory, body, 'snappy', RESPONSE_BYTES_MAX)
  return {
    once() {
      const { start, end } = plain()
      return end - start
    },
    digest() {
      const { start, end } = plain()
      return digestOf(memory.bytes.subarray(start, end))
    }
  }
}

function filterWork(once: () => number): Work {
  return { once, digest: () => String(once()) }
}

export function taskOf(bytes: Uint8Array): BatchTask {
  const body = new SharedArrayBuffer(bytes.length)
  new Uint8Array(body).set(bytes)
  return {
    kind: 'batch',
    batchId: 1,
    epoch: 1,
    topicId: 'topic',
    partition: 0,
    startOffset: START_OFFSET,
    endOffset: undefined,
    body,
    byteCount: bytes.length,
    compression: 'snappy',
    attempt: 1
  }
}

function ignore(): void {}
