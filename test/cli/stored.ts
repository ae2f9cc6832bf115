/** What an emulator holds, pulled by the data API: for tests of what was uploaded. */
import assert from 'node:assert/strict'
import { decompress } from '../../src/cls/compression.ts'
import { isRecord, parseJson } from '../../src/cls/json.ts'
import { decodeLogGroup, decodeMessageHeader, type LogGroup, MESSAGE_HEADER_BYTES } from '../../src/cls/log-group.ts'
import { createService, type Service } from '../../src/cls/service.ts'
import type { EmulatorHandle } from '../../src/emulator/start.ts'
import { createLogger } from '../../src/observe/logger.ts'
import { OPTIONS } from '../../src/options.ts'
import { realClock, realRandom, realTimers } from '../../src/real-world.ts'

export interface StoredPartition {
  readonly topicId: string
  readonly partition: number
  readonly groups: readonly LogGroup[]
}

/** Everything, each partition in the order of its offsets. */
export async function storedPartitions(emulator: EmulatorHandle): Promise<StoredPartition[]> {
  const service = createService(
    {
      endpoint: emulator.endpoint,
      region: emulator.region,
      network: 'public',
      credentials: { secretId: emulator.secretId, secretKey: emulator.secretKey },
      logsetId: emulator.logsetId,
      bodyBytesMax: OPTIONS.bodyBytesMax.default,
      requestTimeoutMs: 5000,
      callTimeoutMs: 10_000
    },
    { clock: realClock, timers: realTimers, random: realRandom, log: createLogger({ level: 'silent' }) }
  )
  try {
    const stored: StoredPartition[] = []
    for (const { topicId, partitions } of (await emulator.snapshot()).topics) {
      for (const { partition } of partitions) {
        stored.push({ topicId, partition, groups: await partitionGroups(service, topicId, partition) })
      }
    }
    return stored
  } finally {
    await service.close()
  }
}

/** Of one topic. */
export async function storedGroups(emulator: EmulatorHandle, topicId: string): Promise<LogGroup[]> {
  const partitions = await storedPartitions(emulator)
  return partitions.flatMap(stored => (stored.topicId === topicId ? stored.groups : []))
}

export async function storedCount(emulator: EmulatorHandle): Promise<number> {
  const partitions = await storedPartitions(emulator)
  return partitions.reduce((sum, { groups }) => sum + groups.reduce((all, { logs }) => all + logs.length, 0), 0)
}

/** The values of one field, in order; logs without it give none. */
export function values(groups: readonly LogGroup[], key: string): string[] {
  return groups.flatMap(({ logs }) =>
    logs.flatMap(({ contents }) => contents.flatMap(content => (content.key === key ? [content.value] : [])))
  )
}

async function partitionGroups({ data }: Service, topicId: string, partition: number): Promise<LogGroup[]> {
  const groups: LogGroup[] = []
  for (let startOffset = 0n; ; ) {
    const request = { topicId, partition, startOffset, sizeBytes: 10 * 1024 * 1024 }
    const { bytes, byteCount, compression } = await data.pull(request, { signal: new AbortController().signal })
    const json = parseJson(decompress(new Uint8Array(bytes, 0, byteCount), compression, 64e6).toString())
    const response = isRecord(json) && isRecord(json.Response) ? json.Response : assert.fail('no response')
    const messages = Array.isArray(response.Message) ? response.Message : []
    if (messages.length === 0) return groups
    for (const message of messages) {
      const decoded = Buffer.from(String(message), 'base64')
      const { payloadBytes } = decodeMessageHeader(decoded)
      groups.push(decodeLogGroup(decoded.subarray(MESSAGE_HEADER_BYTES, MESSAGE_HEADER_BYTES + payloadBytes)))
    }
    startOffset = BigInt(String(response.NextOffset))
  }
}
