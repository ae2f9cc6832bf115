/** A worker thread within the test's own, with a clock that is turned by hand and the main thread's end of its port. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type {
  AnyAnswer,
  AnyTask,
  BatchTask,
  FromClient,
  ProcessedAnswer,
  StartTask,
  ThreadAnswer,
  ThreadTask
} from '../../src/dispatch/messages.ts'
import { createThread } from '../../workers/thread.ts'
import { batchTask, messagesOf, responseText } from './bodies.ts'

let folder = ''
let moduleCount = 0

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-thread-'))
})
after(() => rm(folder, { recursive: true }))

/** A thread in this one, with a clock that is turned by hand and the main thread's end of its port. */
export interface Bench {
  /** As consumer 0. */
  readonly run: (task: ThreadTask) => Promise<ThreadAnswer>
  readonly runFor: (client: number, task: ThreadTask) => Promise<ThreadAnswer>
  readonly runAny: (task: AnyTask) => Promise<AnyAnswer>
  readonly port: MessagePort
  readonly said: () => FromClient[]
  readonly clock: { nowMs: number; leaseEndMs: number }
  /** What the thread does every now and then. */
  readonly sweep: () => void
  readonly start: StartTask
}

export async function bench(
  t: { after(fn: () => void): void },
  source: string,
  options: unknown = null,
  overrides: Partial<StartTask> = {}
): Promise<Bench> {
  const file = join(folder, `processor-${moduleCount++}.mjs`)
  await writeFile(file, source)
  const cell = new SharedArrayBuffer(8)
  const lease = new Float64Array(cell)
  const clock = {
    nowMs: 1000,
    get leaseEndMs() {
      return lease[0] ?? 0
    },
    set leaseEndMs(value) {
      lease[0] = value
    }
  }
  clock.leaseEndMs = 2000
  const sweeps: (() => void)[] = []
  const { port1, port2 } = new MessageChannel()
  t.after(() => port1.close())
  const runAny = createThread({ monotonic: () => clock.nowMs, every: (_, run) => sweeps.push(run) })
  assert.deepEqual(await runAny({ kind: 'hello', thread: 0, port: port2 }), { kind: 'done' })
  const runFor = async (client: number, task: ThreadTask): Promise<ThreadAnswer> => {
    const answer = await runAny({ ...task, client })
    assert.ok(answer.kind !== 'scouted' && answer.kind !== 'harvested')
    return answer
  }
  const start: StartTask = {
    kind: 'start',
    processor: { file, options },
    limits: { responseBytesMax: 1 << 20, keptBytesMax: 1 << 24 },
    commitMode: 'auto',
    deadLetters: 'off',
    leaseEndMs: cell,
    ...overrides
  }
  const sweep = (): void => {
    for (const each of sweeps) each()
  }
  return { run: task => runFor(0, task), runFor, runAny, port: port1, said: () => drain(port1), clock, sweep, start }
}

export async function started(
  t: { after(fn: () => void): void },
  source: string,
  options: unknown = null,
  overrides: Partial<StartTask> = {}
): Promise<Bench> {
  const made = await bench(t, source, options, overrides)
  assert.deepEqual(await made.run(made.start), { kind: 'done' })
  return made
}

function drain(port: MessagePort): FromClient[] {
  const messages: FromClient[] = []
  for (;;) {
    const received: { message: FromClient } | undefined = receiveMessageOnPort(port)
    if (received === undefined) return messages
    messages.push(received.message)
  }
}

export function processed(answer: ThreadAnswer): ProcessedAnswer {
  assert.ok(
    answer.kind === 'processed',
    JSON.stringify(answer, (_, value) => String(value) && value?.toString())
  )
  return answer
}

export const twoLogs = (overrides: Partial<BatchTask> = {}) =>
  batchTask(responseText(102n, messagesOf({ a: '1' }, { a: '2' })), overrides)
