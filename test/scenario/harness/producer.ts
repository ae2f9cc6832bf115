/**
 * The producer: uploads logs with an id each, and remembers which the server has acknowledged.
 *
 * In: lanes (a topic and a hash key, so that a lane's logs go to one partition, in order) and how much. Out: `Sent` per
 * id. Each log group is one log, so that each log has an offset of its own. Must never happen: an id sent twice; a log
 * that may or may not have been stored counted as acknowledged.
 */
import type { UploadApi } from '../../../src/cls/upload.ts'
import { realTimers } from '../../../src/real-world.ts'
import type { Sent } from './evidence.ts'
import { nowMs, until } from './until.ts'

export interface Upload extends Sent {
  /** On the monotonic clock. */
  readonly sentMs: number
  readonly acknowledgedMs: number
  /** On the wall clock, for what the server stores by time. */
  readonly sentWallMs: number
  readonly acknowledgedWallMs: number
}

export interface Lane {
  readonly name: string
  readonly topicId: string
  readonly hashKey: string
  sequence: number
}

/** The service takes 10 groups a body. */
const GROUPS_PER_BODY_MAX = 10
const KEY_COUNT = 2n ** 128n

/** The middle of part `index` of `count` equal parts of all hash keys. */
export function hashKey(index: number, count: number): string {
  const key = (KEY_COUNT * (2n * BigInt(index) + 1n)) / (2n * BigInt(count))
  return key.toString(16).padStart(32, '0')
}

export class Producer {
  readonly acknowledged = new Map<string, Upload>()
  /** Sent, and never heard of: they may be stored. */
  readonly unsure = new Set<string>()
  readonly #api: UploadApi
  readonly #lanes: Lane[] = []

  constructor(api: UploadApi) {
    this.#api = api
  }

  /** `count` lanes over the whole range of keys: as many as there are partitions gives each partition one. */
  lanes(topicId: string, count: number): Lane[] {
    const added = Array.from({ length: count }, (_, index): Lane => {
      const name = `lane${this.#lanes.length + index}`
      return { name, topicId, hashKey: hashKey(index, count), sequence: 0 }
    })
    this.#lanes.push(...added)
    return added
  }

  /** The next `count` logs of a lane; each carries its id and `text`. Resolves to their ids, in order. */
  async send(lane: Lane, count: number, text: (sequence: number) => string = () => ''): Promise<string[]> {
    const ids: string[] = []
    while (ids.length < count) {
      const size = Math.min(GROUPS_PER_BODY_MAX, count - ids.length)
      ids.push(
        ...(await this.#upload(
          lane,
          Array.from({ length: size }, () => text(lane.sequence + 1))
        ))
      )
    }
    return ids
  }

  /** Sends a few logs to every lane again and again, until told to stop. What fails is unsure, and not sent again. */
  keepSending(lanes: readonly Lane[], logsPerUpload = 3): Load {
    return new Load(async () => {
      for (const lane of lanes) await this.send(lane, logsPerUpload).catch(() => undefined)
    })
  }

  /** Ids acknowledged, of one lane or all, in the order of sending. */
  ids(lane?: Lane): string[] {
    return [...this.acknowledged.values()]
      .filter(sent => lane === undefined || sent.lane === lane.name)
      .map(({ id }) => id)
  }

  async #upload(lane: Lane, texts: readonly string[]): Promise<string[]> {
    const { name, topicId, hashKey } = lane
    const logs = texts.map(text => {
      lane.sequence += 1
      const id = `${name}-${lane.sequence}`
      return { id, sequence: lane.sequence, text }
    })
    for (const { id } of logs) this.unsure.add(id)
    const groups = logs.map(({ id, text }) => ({
      logs: [{ time: BigInt(Date.now()), contents: contentsOf(id, text) }],
      logTags: []
    }))
    const [sentMs, sentWallMs] = [nowMs(), Date.now()]
    await this.#api.upload({ topicId, hashKey, groups, whenUnsure: 'fail' })
    const [acknowledgedMs, acknowledgedWallMs] = [nowMs(), Date.now()]
    for (const { id, sequence } of logs) {
      this.unsure.delete(id)
      const times = { sentMs, sentWallMs, acknowledgedMs, acknowledgedWallMs }
      this.acknowledged.set(id, { id, topicId, lane: name, sequence, ...times })
    }
    return logs.map(({ id }) => id)
  }
}

function contentsOf(id: string, text: string): { key: string; value: string }[] {
  const contents = [{ key: 'id', value: id }]
  return text === '' ? contents : [...contents, { key: 'text', value: text }]
}

/** Pause between two rounds: a load that leaves the machine's few cores to the consumers. */
const ROUND_MS = 15

/** Rounds of uploads, one after the other. */
export class Load {
  roundCount = 0
  #isOver = false
  readonly #ended: Promise<void>

  constructor(round: () => Promise<void>) {
    this.#ended = this.#run(round)
  }

  /** Waits for this many further rounds. */
  async rounds(count: number): Promise<void> {
    const target = this.roundCount + count
    await until(`${count} rounds of uploads`, () => this.roundCount >= target)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#ended
  }

  async #run(round: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      await round()
      this.roundCount += 1
      await realTimers.sleep(ROUND_MS)
    }
  }
}
