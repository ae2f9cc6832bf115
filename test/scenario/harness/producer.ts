/**
 * The producer: uploads logs with an id each, and remembers which the server has acknowledged.
 *
 * In: lanes (a topic and a hash key, so that a lane's logs go to one partition, in order) and how much. Out: `Sent` per
 * id. Unless said otherwise each log is a message, and has an offset of its own. Must never happen: an id sent twice; a
 * log that may or may not have been stored counted as acknowledged.
 */
import type { Log, LogGroup } from '../../../src/cls/log-group.ts'
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

type Contents = Log['contents']

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
  readonly #loads: Load[] = []

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

  /** The next `count` logs of a lane, a message each, with `text`. Resolves to their ids, in order. */
  async send(lane: Lane, count: number, text: (sequence: number) => string = () => ''): Promise<string[]> {
    const first = lane.sequence + 1
    const logs = Array.from({ length: count }, (_, index) => [{ key: 'text', value: text(first + index) }])
    return await this.sendLogs(lane, logs, 1)
  }

  /** Logs of any contents, so many a message; their ids are added. */
  async sendLogs(lane: Lane, logs: readonly Contents[], logsPerMessage: number): Promise<string[]> {
    const ids: string[] = []
    const step = GROUPS_PER_BODY_MAX * logsPerMessage
    for (let from = 0; from < logs.length; from += step) {
      ids.push(...(await this.#upload(lane, logs.slice(from, from + step), logsPerMessage)))
    }
    return ids
  }

  /** Sends a few logs to every lane again and again, until told to stop. What fails is unsure, and not sent again. */
  keepSending(lanes: readonly Lane[], logsPerUpload = 3): Load {
    const load = new Load(async () => {
      for (const lane of lanes) await this.send(lane, logsPerUpload).catch(() => undefined)
    })
    this.#loads.push(load)
    return load
  }

  /** Ends what `keepSending` began. */
  async stop(): Promise<void> {
    await Promise.all(this.#loads.map(load => load.stop()))
  }

  /** Ids acknowledged, of one lane or all, in the order of sending. */
  ids(lane?: Lane): string[] {
    return [...this.acknowledged.values()]
      .filter(sent => lane === undefined || sent.lane === lane.name)
      .map(({ id }) => id)
  }

  async #upload(lane: Lane, logs: readonly Contents[], logsPerMessage: number): Promise<string[]> {
    const { name, topicId, hashKey } = lane
    const numbered = logs.map(contents => {
      lane.sequence += 1
      return { id: `${name}-${lane.sequence}`, sequence: lane.sequence, contents }
    })
    for (const { id } of numbered) this.unsure.add(id)
    const groups: LogGroup[] = []
    for (let from = 0; from < numbered.length; from += logsPerMessage) {
      groups.push({ logs: numbered.slice(from, from + logsPerMessage).map(toLog), logTags: [] })
    }
    const [sentMs, sentWallMs] = [nowMs(), Date.now()]
    await this.#api.upload({ topicId, hashKey, groups, whenUnsure: 'fail' })
    const [acknowledgedMs, acknowledgedWallMs] = [nowMs(), Date.now()]
    for (const { id, sequence } of numbered) {
      this.unsure.delete(id)
      const times = { sentMs, sentWallMs, acknowledgedMs, acknowledgedWallMs }
      this.acknowledged.set(id, { id, topicId, lane: name, sequence, ...times })
    }
    return numbered.map(({ id }) => id)
  }
}

function toLog({ id, contents }: { readonly id: string; readonly contents: Contents }): Log {
  return { time: BigInt(Date.now()), contents: [{ key: 'id', value: id }, ...contents] }
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
