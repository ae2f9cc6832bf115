/**
 * Many logs into topics, by the upload API.
 *
 * In: logs, in order. Out: uploads of at most `chunkLogCount` logs; log i goes to topic i mod n. A topic has one upload
 * under way at a time, so that its logs arrive in order and memory stays at two chunks a topic. What a returned count
 * covers is stored; after a stop or a failure, logs that were read but not sent are not counted.
 */
import type { Log, LogGroup } from '../cls/log-group.ts'
import type { Clock, Timers } from '../world.ts'

/** The service takes 10 groups a body, and 6 MB uncompressed; a body stays far below. */
const GROUP_LOGS_MAX = 100
export const CHUNK_LOGS_MAX = 1000
const CHUNK_BYTES_MAX = 1_500_000

export interface UploadPlan {
  readonly topicIds: readonly string[]
  /** 1 … `CHUNK_LOGS_MAX`. */
  readonly chunkLogCount: number
  /** Logs per second over all topics; as fast as the service takes them where absent. */
  readonly logsPerSecond?: number
  /** What the groups carry beside their logs. */
  readonly group: Pick<LogGroup, 'source' | 'filename' | 'hostname' | 'logTags'>
}

export interface UploadWorld {
  readonly upload: (request: { topicId: string; groups: LogGroup[] }) => Promise<unknown>
  readonly clock: Clock
  readonly timers: Timers
  readonly stop: AbortSignal
  readonly onProgress?: (uploadedCount: number) => void
}

interface Lane {
  readonly topicId: string
  logs: Log[]
  bytes: number
  sending: Promise<void>
}

/** Resolves to the number of logs stored, also when `stop` aborts; rejects with the first failed upload. */
export async function uploadLogs(
  logs: Iterable<Log> | AsyncIterable<Log>,
  plan: UploadPlan,
  world: UploadWorld
): Promise<number> {
  const lanes = plan.topicIds.map((topicId): Lane => ({ topicId, logs: [], bytes: 0, sending: Promise.resolve() }))
  const failures: unknown[] = []
  let uploadedCount = 0
  let takenCount = 0
  const startedMs = world.clock.monotonic()

  const send = async (lane: Lane) => {
    const sent = lane.logs
    lane.logs = []
    lane.bytes = 0
    await lane.sending // one upload of a topic at a time
    if (failures.length > 0 || world.stop.aborted) return
    // Not awaited here: the next chunk is built meanwhile. A failure is kept, so that it is never unhandled.
    lane.sending = world.upload({ topicId: lane.topicId, groups: inGroups(sent, plan.group) }).then(
      () => {
        uploadedCount += sent.length
        world.onProgress?.(uploadedCount)
      },
      error => void failures.push(error)
    )
  }

  try {
    for await (const log of logs) {
      if (failures.length > 0 || world.stop.aborted) break
      const lane = lanes[takenCount % lanes.length]
      if (lane === undefined) break
      takenCount++
      lane.logs.push(log)
      lane.bytes += logBytes(log)
      if (lane.logs.length >= plan.chunkLogCount || lane.bytes >= CHUNK_BYTES_MAX) await send(lane)
      if (plan.logsPerSecond !== undefined) await keepPace(startedMs + (takenCount / plan.logsPerSecond) * 1000, world)
    }
    for (const lane of lanes) if (lane.logs.length > 0) await send(lane)
  } finally {
    // Also where reading the logs failed: nothing may still be under way when the caller closes the connections.
    await Promise.all(lanes.map(lane => lane.sending))
  }
  if (failures.length > 0) throw failures[0]
  return uploadedCount
}

/** Chunks so small that a slow rate still shows as a steady stream: ten a second over all topics. */
export function chunkSize(logsPerSecond: number | undefined, topicCount: number): number {
  if (logsPerSecond === undefined) return CHUNK_LOGS_MAX
  return Math.min(CHUNK_LOGS_MAX, Math.max(1, Math.round(logsPerSecond / 10 / topicCount)))
}

/** Timers are coarse: short waits are left to add up. */
const WAIT_LEAST_MS = 20

async function keepPace(dueMs: number, world: UploadWorld): Promise<void> {
  const waitMs = dueMs - world.clock.monotonic()
  if (waitMs < WAIT_LEAST_MS) return
  await world.timers.sleep(waitMs, world.stop).catch(error => {
    if (!world.stop.aborted) throw error
  })
}

function inGroups(logs: readonly Log[], group: UploadPlan['group']): LogGroup[] {
  const groups: LogGroup[] = []
  for (let from = 0; from < logs.length; from += GROUP_LOGS_MAX) {
    groups.push({ ...group, logs: logs.slice(from, from + GROUP_LOGS_MAX) })
  }
  return groups
}

/** Near enough for cutting chunks: the service's limits are four times as far. */
function logBytes(log: Log): number {
  let bytes = 16
  for (const { key, value } of log.contents) bytes += key.length + Buffer.byteLength(value) + 8
  return bytes
}
