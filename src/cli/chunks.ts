/**
 * Logs that were read and not yet sent, in chunks that each fit one upload.
 *
 * In: logs, each with its lane: the topic, and the key if it has one. Out: chunks, of one lane each, the oldest first.
 * Pure. The logs of a lane leave in the order in which they came; how many bytes are held is known at any time, also with
 * a chunk for each of very many keys.
 */
import type { Log } from '../cls/log-group.ts'
import { logBytes } from '../cls/upload-limits.ts'

export interface Lane {
  readonly id: string
  readonly topicId: string
  /** Absent: the service chooses the partition. */
  readonly hashKey?: string
}

export interface Chunk {
  readonly lane: Lane
  readonly logs: readonly Log[]
  /** Uncompressed. */
  readonly bytes: number
  readonly openedMs: number
  /** Of the first log in its file. */
  readonly firstLine: number | undefined
}

interface OpenChunk extends Chunk {
  readonly logs: Log[]
  bytes: number
}

/** An upload may hold 6 MB; one as small as this is sent as fast, and four times as many fit into memory. */
const CHUNK_BYTES_MAX = 1_500_000
/** Of memory, for a chunk without its logs. */
const CHUNK_OVERHEAD_BYTES = 500

export class Chunks {
  /** In the order in which they were opened. */
  readonly #open = new Map<string, OpenChunk>()
  readonly #logCountMax: number
  #heldBytes = 0

  constructor(logCountMax: number) {
    this.#logCountMax = logCountMax
  }

  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Oldest first. A chunk may be taken while it is the current one. */
  values(): Iterable<Chunk> {
    return this.#open.values()
  }

  /** Whether the lane's chunk must leave before this log can be added. */
  isTooFullFor(lane: Lane, log: Log): boolean {
    const chunk = this.#open.get(lane.id)
    return chunk !== undefined && chunk.bytes + logBytes(log) > CHUNK_BYTES_MAX
  }

  /** Returns whether the lane's chunk is full now. A log larger than a chunk gets one of its own. */
  add(lane: Lane, log: Log, line: number | undefined, nowMs: number): boolean {
    let chunk = this.#open.get(lane.id)
    if (chunk === undefined) {
      chunk = { lane, logs: [], bytes: 0, openedMs: nowMs, firstLine: line }
      this.#open.set(lane.id, chunk)
      this.#heldBytes += CHUNK_OVERHEAD_BYTES
    }
    const bytes = logBytes(log)
    chunk.logs.push(log)
    chunk.bytes += bytes
    this.#heldBytes += bytes
    return chunk.logs.length >= this.#logCountMax || chunk.bytes >= CHUNK_BYTES_MAX
  }

  take(laneId: string): Chunk | undefined {
    const chunk = this.#open.get(laneId)
    if (chunk === undefined) return undefined
    this.#open.delete(laneId)
    this.#heldBytes -= chunk.bytes + CHUNK_OVERHEAD_BYTES
    return chunk
  }
}
