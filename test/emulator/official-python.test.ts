/**
 * The service's official Python log SDK, where it can be imported, against an emulator in a process of its own.
 *
 * In: logs that our producer uploaded, and two processes with a consumer of the SDK each, in one group. Out: each log
 * once, by one of the two, and every offset committed. Must never happen: a run that passes because the SDK was not there;
 * such a run is skipped, and says what to set.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isRecord, parseJson } from '../../src/cls/json.ts'
import { play } from '../scenario/harness/play.ts'
import type { Stage } from '../scenario/harness/stage.ts'
import { until } from '../scenario/harness/until.ts'
import type { Exchange, WireTap } from '../scenario/harness/wire-tap.ts'
import { listAt } from './support.ts'

const SCRIPT = fileURLToPath(new URL('../../../test/fixtures/python-consumer.py', import.meta.url))
const PYTHON = process.env.PYTHON ?? 'python3'
/** Of the SDK's heartbeats; the group's timeout is twice that. A hand-over takes some of them. */
const HEARTBEAT_SECONDS = 3
const HAND_OVER_MS = 30_000

/** A log as the SDK's processor saw it. */
interface Seen {
  readonly partition: number
  readonly id: string
  readonly text: string
}

class PythonConsumer {
  readonly #child: ChildProcess
  readonly #ended: Promise<number | null>
  #out = ''
  #err = ''
  #hasEnded = false

  constructor(consumer: string, stage: Stage, tap: WireTap, signal: AbortSignal) {
    const { secretId, secretKey, region, logsetId, topicIds } = stage.emulator
    const identity = { endpoint: tap.endpoint, secretId, secretKey, region, logsetId, topicIds, group: stage.group }
    const option = { ...identity, consumer, heartbeatSeconds: HEARTBEAT_SECONDS, pullBytes: 64 * 1024 }
    // Nothing between it and the emulator, whatever proxy the environment names.
    const env = { ...process.env, NO_PROXY: '*', no_proxy: '*' }
    this.#child = spawn(PYTHON, ['-B', SCRIPT, JSON.stringify(option)], { env, signal, killSignal: 'SIGKILL' })
    this.#child.stdout?.setEncoding('utf8').on('data', text => {
      this.#out += text
    })
    this.#child.stderr?.setEncoding('utf8').on('data', text => {
      this.#err += text
    })
    this.#child.stdin?.on('error', () => undefined)
    this.#ended = new Promise(resolve => {
      this.#child.on('error', error => {
        this.#err += String(error)
      })
      this.#child.on('close', code => {
        this.#hasEnded = true
        resolve(code)
      })
    })
  }

  /** Every log so far; throws where the process has ended, which it must not by itself. */
  seen(): Seen[] {
    assert.ok(!this.#hasEnded, `it ended by itself: ${this.#err}`)
    return this.#lines()
  }

  /** Lets it stop by itself; what it says on the way is in `lines`. */
  async stop(): Promise<{ readonly code: number | null; readonly seen: Seen[]; readonly err: string }> {
    this.#child.stdin?.end()
    return { code: await this.#ended, seen: this.#lines(), err: this.#err }
  }

  /** What it wrote to standard error, for whoever looks into a failure. */
  complaints(): string {
    return this.#err
  }

  async dispose(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #lines(): Seen[] {
    // The last piece is a line that is not whole yet, or nothing.
    const lines = this.#out.split('\n').slice(0, -1)
    return lines.flatMap(line => {
      const call = parseJson(line)
      assert.ok(isRecord(call))
      return listAt(call, 'logs').map(log => {
        assert.ok(isRecord(log))
        return { partition: Number(call.partition), id: String(log.id), text: String(log.text) }
      })
    })
  }
}

/** Why the SDK cannot be run, or undefined. */
function missingSdk(): string | undefined {
  try {
    execFileSync(PYTHON, ['-B', '-c', 'import tencentcloud.log.consumer'], { stdio: 'pipe', timeout: 30_000 })
    return undefined
  } catch (error) {
    const lines = isStderrOf(error) ? error.stderr.toString().trim().split('\n') : [String(error)]
    const cure = 'PYTHONPATH to where tencentcloud-cls-sdk-python lies, PYTHON to an interpreter with its dependencies'
    return `${PYTHON} cannot import tencentcloud.log.consumer (${lines.at(-1)}); set ${cure}`
  }
}

function isStderrOf(error: unknown): error is { readonly stderr: Buffer } {
  return typeof error === 'object' && error !== null && 'stderr' in error && error.stderr instanceof Buffer
}

/** The code of the refusal in an answer of the control plane; undefined where it was granted, or under way. */
function refusalIn({ answer }: Exchange): string | undefined {
  if (answer === undefined) return undefined
  if (answer.status !== 200) return `HTTP ${answer.status}`
  if (answer.body[0] !== 0x7b) return undefined
  const parsed = parseJson(answer.body.toString())
  const response = isRecord(parsed) ? parsed.Response : undefined
  const error = isRecord(response) ? response.Error : undefined
  return isRecord(error) ? `${String(error.Code)}: ${String(error.Message)}` : undefined
}

/** Per lane, with a text; those that follow, under load, have an empty one. */
const FIRST_LOGS = 60
const textOf = (sequence: number): string => `日志 ${sequence} \u{1f4dc} "quoted" \\ back`

test("two consumers of the service's official Python SDK share a topic, and read each log once", {
  timeout: 150_000
}, context => {
  const missing = missingSdk()
  if (missing !== undefined) {
    context.skip(missing)
    return
  }
  return play({ partitionCount: 4 }, stage => share(stage, context.signal))
})

async function share(stage: Stage, signal: AbortSignal): Promise<void> {
  const tap = await stage.tap()
  const lanes = stage.producer.lanes(stage.topicId, 4)
  for (const lane of lanes) await stage.producer.send(lane, FIRST_LOGS, textOf)
  const a = new PythonConsumer('python-A', stage, tap, signal)
  const consumers = [a]
  const seenCount = () => consumers.reduce((sum, consumer) => sum + consumer.seen().length, 0)
  const allSeen = () => until('the SDK sees every log', () => seenCount() >= stage.producer.ids().length, HAND_OVER_MS)
  const ownedBy = async (name: string) => {
    const [group] = (await stage.snapshot()).groups
    return group?.partitions.filter(({ owner }) => owner === name).length
  }
  try {
    await allSeen()
    const b = new PythonConsumer('python-B', stage, tap, signal)
    consumers.push(b)
    // Logs keep coming while partitions change hands.
    const load = stage.producer.keepSending(lanes, 2)
    await until('B owns half', async () => (await ownedBy('python-B')) === 2, HAND_OVER_MS)
    const before = b.seen().length
    await until('B reads', () => b.seen().length > before + 20, HAND_OVER_MS)
    await load.stop()
    await allSeen()
    await stage.allCommitted()

    const ended = await Promise.all([a.stop(), b.stop()])
    for (const { code, err } of ended) assert.equal(code, 0, err)
    const seen = ended.flatMap(consumer => consumer.seen)
    assert.deepEqual(seen.map(({ id }) => id).sort(), stage.producer.ids().sort())
    assertInOrder(seen, stage)
    assert.deepEqual(await stage.committed(), await stage.ends())
    assertAllGranted(tap)
  } catch (error) {
    for (const consumer of consumers) process.stderr.write(consumer.complaints())
    throw error
  } finally {
    await Promise.all(consumers.map(consumer => consumer.dispose()))
  }
}

/** Each text is its own log's, and a partition's logs came in the order in which they were sent. */
function assertInOrder(seen: readonly Seen[], stage: Stage): void {
  const sequences = new Map<number, number[]>()
  for (const { partition, id, text } of seen) {
    const { sequence = 0 } = stage.producer.acknowledged.get(id) ?? {}
    assert.equal(text, sequence <= FIRST_LOGS ? textOf(sequence) : '', id)
    sequences.set(partition, [...(sequences.get(partition) ?? []), sequence])
  }
  assert.equal(sequences.size, 4)
  for (const list of sequences.values())
    assert.deepEqual(
      list,
      list.toSorted((x, y) => x - y)
    )
}

/** Nothing the SDK asked for was refused, but for the second one's attempt to create the group. */
function assertAllGranted(tap: WireTap): void {
  const refused = tap.exchanges.flatMap(exchange => {
    const refusal = refusalIn(exchange)
    return refusal === undefined ? [] : [`${exchange.action} ${refusal}`]
  })
  assert.equal(refused.length, 1, refused.join('\n'))
  assert.match(refused[0] ?? '', /^CreateConsumerGroup FailedOperation: consumer group already exists/)
  assert.equal(tap.of('ModifyConsumerGroup').length, 1)
  for (const name of ['python-A', 'python-B']) {
    assert.ok(tap.of('SendConsumerHeartbeat', name).length > 0)
    assert.ok(tap.of('CommitConsumerOffsets', name).length > 0)
  }
}
