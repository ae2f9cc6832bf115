/**
 * Many logs into topics, by the upload API.
 *
 * In: logs, in order, some with a key. Out: uploads, and a tally of what is stored, what may be, and what is not. Logs
 * without a key take the topics in turn. Those of a key go to one topic and one partition. A lane (a topic, or one of its
 * keys) has one upload under way at a time, so that its logs arrive in order; lanes do not wait for each other.
 *
 * Bounded: `HELD_BYTES_MAX` of what waits, `UPLOADS_MAX` uploads under way; reading waits where that is reached. No log
 * waits for others to fill its chunk for longer than `lingerMs`. Ending: reading ends at a stop or at the first failure;
 * after a stop, and where reading itself failed, what was read is still sent. Must never happen: a log that was read and
 * is in no count.
 */
import type { LogGroup } from '../cls/log-group.ts'
import type { UploadRequest } from '../cls/upload.ts'
import { UPLOAD_LIMITS } from '../cls/upload-limits.ts'
import type { Clock, Timers } from '../world.ts'
import { type Chunk, Chunks, type Lane } from './chunks.ts'
import { hashKeyOf, topicIndexOf } from './hash-key.ts'
import type { OutgoingLog } from './outgoing-log.ts'
import { Pace } from './pace.ts'
import { every } from './ticker.ts'

export const CHUNK_LOGS_MAX = 1000
const GROUP_LOGS_MAX = CHUNK_LOGS_MAX / UPLOAD_LIMITS.groupsPerBody
export const HELD_BYTES_MAX = 16_000_000
export const UPLOADS_MAX = 32
/** How often chunks are looked through for those that have waited long enough. */
const LOOK_MS = 250

export interface UploadPlan {
  readonly topicIds: readonly string[]
  /** 1 … `CHUNK_LOGS_MAX`. */
  readonly chunkLogCount: number
  /** Logs per second over all topics, on average; as fast as the service takes them where absent. */
  readonly logsPerSecond?: number
  /** A chunk is sent after so long, full or not. Absent: chunks are always the same for the same logs. */
  readonly lingerMs?: number
  /** What the groups carry beside their logs. */
  readonly group: Pick<LogGroup, 'source' | 'filename' | 'hostname' | 'logTags'>
}

export interface UploadWorld {
  readonly upload: (request: UploadRequest) => Promise<unknown>
  readonly clock: Clock
  readonly timers: Timers
  readonly stop: AbortSignal
  /** After each upload. */
  readonly onProgress?: (tally: UploadTally) => void
}

/** Of logs, unless named otherwise. Stored, in doubt and unstored are all that were read. */
export interface UploadTally {
  storedCount: number
  /** Uncompressed. */
  storedBytes: number
  /** Their upload failed, and it is not known whether they are stored. */
  doubtCount: number
  /** Read, and certainly not stored. */
  unstoredCount: number
  /** Copies that may be stored beside the first one: of logs sent again after a try whose fate is unknown. */
  duplicateCountMax: number
  /** Tries after the first, of all uploads. */
  retryCount: number
}

export interface UploadOutcome {
  readonly tally: UploadTally
  /** What ended it before its time: the first upload that failed, and that the source did. */
  readonly failures: readonly unknown[]
  /** Of the file: all logs up to this line are stored. */
  readonly storedThroughLine: number | undefined
}

/** `ended` aborts where no more logs are taken. */
export type LogSource = (ended: AbortSignal) => Iterable<OutgoingLog> | AsyncIterable<OutgoingLog>

/** Never rejects for what an upload or the source met: those are the outcome's `failures`. */
export function uploadLogs(source: LogSource, plan: UploadPlan, world: UploadWorld): Promise<UploadOutcome> {
  return new Uploading(plan, world).run(source)
}

class Uploading {
  readonly #plan: UploadPlan
  readonly #world: UploadWorld
  readonly #chunks: Chunks
  /** By lane. They never reject. */
  readonly #flights = new Map<string, Promise<void>>()
  readonly #reading = new AbortController()
  readonly #uploadFailures: unknown[] = []
  readonly #readFailures: unknown[] = []
  readonly #tally: UploadTally = {
    storedCount: 0,
    storedBytes: 0,
    doubtCount: 0,
    unstoredCount: 0,
    duplicateCountMax: 0,
    retryCount: 0
  }
  readonly #pace: Pace
  #takenCount = 0
  #lastLine: number | undefined
  /** The first that was read and is not known to be stored. */
  #openLine: number | undefined

  constructor(plan: UploadPlan, world: UploadWorld) {
    this.#plan = plan
    this.#world = world
    this.#chunks = new Chunks(plan.chunkLogCount)
    this.#pace = new Pace(plan.logsPerSecond, world.clock, world.timers)
  }

  async run(source: LogSource): Promise<UploadOutcome> {
    const { stop, timers } = this.#world
    const onStop = () => this.#reading.abort(stop.reason)
    if (stop.aborted) onStop()
    stop.addEventListener('abort', onStop, { once: true })
    const ticker = every(timers, LOOK_MS, () => this.#sendAged())
    try {
      await this.#read(source)
      await this.#sendDownTo(0)
    } finally {
      ticker.cancel()
      stop.removeEventListener('abort', onStop)
      // Nothing may still be under way when the caller closes the connections.
      await Promise.all(this.#flights.values())
    }
    for (const chunk of this.#chunks.values()) this.#count(chunk, 'unstoredCount')
    const failures = [...this.#uploadFailures.slice(0, 1), ...this.#readFailures]
    const storedThroughLine = this.#openLine === undefined ? this.#lastLine : this.#openLine - 1
    return { tally: this.#tally, failures, storedThroughLine }
  }

  async #read(source: LogSource): Promise<void> {
    const { signal } = this.#reading
    try {
      for await (const outgoing of source(signal)) {
        await this.#accept(outgoing)
        if (signal.aborted) return
        await this.#pace.next(signal)
      }
    } catch (error) {
      this.#readFailures.push(error)
    }
  }

  async #accept({ log, key, line }: OutgoingLog): Promise<void> {
    const lane = this.#laneFor(key)
    this.#takenCount++
    this.#lastLine = line
    if (this.#chunks.isTooFullFor(lane, log)) await this.#send(lane.id)
    if (this.#chunks.add(lane, log, line, this.#world.clock.monotonic())) await this.#send(lane.id)
    await this.#sendDownTo(HELD_BYTES_MAX)
  }

  #laneFor(key: string | undefined): Lane {
    const { topicIds } = this.#plan
    const hashKey = key === undefined ? undefined : hashKeyOf(key)
    const index = hashKey === undefined ? this.#takenCount % topicIds.length : topicIndexOf(hashKey, topicIds.length)
    const topicId = topicIds[index] ?? ''
    return { id: `${index} ${hashKey ?? ''}`, topicId, ...(hashKey === undefined ? {} : { hashKey }) }
  }

  /** The lane's chunk, if it is still there once the lane and a place among the uploads are free. */
  async #send(laneId: string): Promise<void> {
    while (!this.#hasFailed && (this.#flights.has(laneId) || this.#isBusy)) {
      await (this.#flights.get(laneId) ?? Promise.race(this.#flights.values()))
    }
    this.#start(laneId)
  }

  /** Sends the oldest chunks until no more than so many bytes wait. */
  async #sendDownTo(heldBytes: number): Promise<void> {
    while (this.#chunks.heldBytes > heldBytes && !this.#hasFailed) {
      const next = this.#isBusy ? undefined : this.#oldestFree()
      if (next !== undefined) this.#start(next.lane.id)
      else await Promise.race(this.#flights.values())
    }
  }

  #sendAged(): void {
    const { lingerMs = Number.POSITIVE_INFINITY } = this.#plan
    const openedBeforeMs = this.#world.clock.monotonic() - lingerMs
    for (const { lane, openedMs } of this.#chunks.values()) {
      if (openedMs > openedBeforeMs || this.#isBusy) return
      if (!this.#flights.has(lane.id)) this.#start(lane.id)
    }
  }

  get #isBusy(): boolean {
    return this.#flights.size >= UPLOADS_MAX
  }

  get #hasFailed(): boolean {
    return this.#uploadFailures.length > 0
  }

  #oldestFree(): Chunk | undefined {
    for (const chunk of this.#chunks.values()) if (!this.#flights.has(chunk.lane.id)) return chunk
    return undefined
  }

  #start(laneId: string): void {
    if (this.#hasFailed) return
    const chunk = this.#chunks.take(laneId)
    if (chunk === undefined) return
    const flight = this.#upload(chunk).finally(() => {
      this.#flights.delete(laneId)
      this.#sendAged()
    })
    this.#flights.set(laneId, flight)
  }

  async #upload(chunk: Chunk): Promise<void> {
    const { upload, onProgress } = this.#world
    const { topicId, hashKey } = chunk.lane
    let unsureCount = 0
    try {
      await upload({
        topicId,
        groups: inGroups(chunk.logs, this.#plan.group),
        ...(hashKey === undefined ? {} : { hashKey }),
        onRetry: () => void this.#tally.retryCount++,
        onUnsure: () => void unsureCount++
      })
      this.#count(chunk, 'storedCount')
      this.#tally.duplicateCountMax += chunk.logs.length * unsureCount
    } catch (error) {
      this.#count(chunk, unsureCount === 0 ? 'unstoredCount' : 'doubtCount')
      this.#tally.duplicateCountMax += chunk.logs.length * Math.max(0, unsureCount - 1)
      this.#uploadFailures.push(error)
      this.#reading.abort(error)
    }
    onProgress?.(this.#tally)
  }

  #count({ logs, bytes, firstLine }: Chunk, as: 'storedCount' | 'doubtCount' | 'unstoredCount'): void {
    this.#tally[as] += logs.length
    if (as === 'storedCount') this.#tally.storedBytes += bytes
    else if (firstLine !== undefined) this.#openLine = Math.min(firstLine, this.#openLine ?? firstLine)
  }
}

/** Chunks so small that a slow rate still shows as a steady stream: ten a second over all topics. */
export function chunkSize(logsPerSecond: number | undefined, topicCount: number): number {
  if (logsPerSecond === undefined) return CHUNK_LOGS_MAX
  return Math.min(CHUNK_LOGS_MAX, Math.max(1, Math.round(logsPerSecond / 10 / topicCount)))
}

function inGroups(logs: Chunk['logs'], group: UploadPlan['group']): LogGroup[] {
  const groups: LogGroup[] = []
  for (let from = 0; from < logs.length; from += GROUP_LOGS_MAX) {
    groups.push({ ...group, logs: logs.slice(from, from + GROUP_LOGS_MAX) })
  }
  return groups
}
