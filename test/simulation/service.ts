/**
 * The service: the emulator's real answers, on virtual time.
 *
 * In: requests as they arrive. Out: what the emulator answers to them, signatures checked and all; and to the ledger, what
 * was executed. It can be away for a while: connections break then, and what it knows stays. No HTTP, no sockets.
 */
import assert from 'node:assert/strict'
import { encodeLogGroupList } from '../../src/cls/log-group.ts'
import { uploadLogs } from '../../src/emulator/actions/upload-logs.ts'
import { answerRequest } from '../../src/emulator/answer.ts'
import { type Group, partitionRef } from '../../src/emulator/group.ts'
import type { WireAnswer, WireRequest } from '../../src/emulator/plane.ts'
import type { PullFlaw } from '../../src/emulator/pull-body.ts'
import { Refusal } from '../../src/emulator/refusal.ts'
import { resolveEmulatorOptions } from '../../src/emulator/settings.ts'
import { createState, type EmulatorState } from '../../src/emulator/state.ts'
import type { Partition, Topic } from '../../src/emulator/topic.ts'
import { type Course, Place } from './course.ts'
import { isPoison } from './identity.ts'
import type { Scenario } from './scenario.ts'
import type { PartitionStock } from './stock.ts'

/** Wall time at the beginning, Unix ms. */
export const BEGIN_MS = 1_700_000_000_000
export const LOGSET = 'logset'
export const GROUP = 'group'
export const KEY = { secretId: 'an-id', secretKey: 'a-secret-key' } as const

export class Service {
  readonly place = new Place('service')
  readonly state: EmulatorState
  readonly #course: Course
  #phase: 'up' | 'away' = 'up'
  /** Connections of an earlier life are broken. */
  life = 0

  constructor(course: Course, scenario: Scenario) {
    this.#course = course
    const { topicIds, partitionCount, startOffset, gapEvery, retentionMs, quirks } = scenario
    const settings = { ...KEY, logsetId: LOGSET, topicIds, partitionCount, startOffset, gapEvery, retentionMs, quirks }
    this.state = createState(resolveEmulatorOptions(settings), BEGIN_MS)
  }

  get isUp(): boolean {
    return this.#phase === 'up'
  }

  nowMs(): number {
    return BEGIN_MS + this.#course.nowMs
  }

  answer(request: WireRequest, flaw?: PullFlaw): WireAnswer {
    return answerRequest(request, this.state, this.nowMs(), flaw)
  }

  goAway(): void {
    this.#phase = 'away'
    this.life += 1
  }

  comeBack(): void {
    this.#phase = 'up'
  }

  get group(): Group | undefined {
    return this.state.groups.get(GROUP)
  }

  committed({ topicId, partition }: PartitionStock): bigint | undefined {
    return this.group?.committed(partitionRef(topicId, partition.id))
  }

  /** Somebody deletes it under its consumers. */
  deleteGroup(): void {
    this.state.groups.delete(GROUP)
  }

  topic(topicId: string): Topic {
    const topic = this.state.topics.get(topicId)
    assert.ok(topic !== undefined, `no topic ${topicId}`)
    return topic
  }

  /** Stores messages, each a group of the logs with these names, all in one partition. */
  store(topicId: string, hashKey: string, messages: readonly (readonly string[])[]): Stored {
    const partition = this.topic(topicId).route(BigInt(`0x${hashKey}`))
    const fromOffset = partition.log.end
    for (const ids of messages) {
      // No client would send it, and none can decode it.
      if (ids.every(isPoison)) partition.log.append(this.nowMs(), () => Buffer.from(ids.join(' ')))
      else this.#upload(topicId, hashKey, ids)
    }
    const everything = { startMs: 0, endMs: Number.POSITIVE_INFINITY, sizeBytes: 1e9, messageCountMax: 1e9 }
    const stored = partition.log.read({ fromOffset, ...everything }).messages
    return { partition, offsets: stored.map(({ offset }) => offset) }
  }

  #upload(topicId: string, hashKey: string, ids: readonly string[]): void {
    const body = encodeLogGroupList([
      { logs: ids.map(id => ({ time: 1n, contents: [{ key: 'id', value: id }] })), logTags: [] }
    ])
    const headers = { 'content-type': 'application/x-protobuf', 'x-cls-hashkey': hashKey }
    uploadLogs({ topicId, headers, body, requestId: 'upload' }, this.state, this.nowMs())
  }

  split(topicId: string, partition: Partition): boolean {
    return this.#change(() => void this.topic(topicId).split(partition, 2, this.nowMs()))
  }

  merge(topicId: string, left: Partition): boolean {
    const topic = this.topic(topicId)
    const right = topic.writable().find(({ beginKey }) => beginKey === left.endKey)
    return right !== undefined && this.#change(() => void topic.merge(left, right, this.nowMs()))
  }

  #change(act: () => void): boolean {
    try {
      act()
      return true
    } catch (error) {
      if (error instanceof Refusal) return false
      throw error
    }
  }
}

export interface Stored {
  readonly partition: Partition
  readonly offsets: readonly bigint[]
}
