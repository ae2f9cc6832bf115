/**
 * Simulated threads under the real pool: what Piscina and Node's Workers do, as events of the course.
 *
 * In: tasks of the real `ThreadPool`, which keeps its books as ever. Out: answers, deaths, exits, replacements, each an
 * event of its own. What runs on a thread is the real `workers/thread.ts`. As in reality, a terminated thread may be busy
 * until its exit, seconds later, and what it has begun counts as running until then; one that fails tells of that before
 * it exits, and its replacement may be up before that; runs on it are rejected at the failure or at the exit.
 */
import { EventEmitter } from 'node:events'
import type { Worker } from 'node:worker_threads'
import type { Engine, EngineHooks } from '../../src/dispatch/engine.ts'
import type { AnyAnswer, AnyTask } from '../../src/dispatch/messages.ts'
import type { Tenant } from '../../src/dispatch/thread-slot.ts'
import type { Dice } from '../fuzz/dice.ts'
import { type Course, Place } from './course.ts'
import type { Host } from './host.ts'
import { Relay } from './relay.ts'
import { SimulatedThread } from './simulated-thread.ts'

export interface EngineParts {
  readonly course: Course
  readonly dice: Dice
  readonly host: Host
  /** Of the process. */
  readonly place: Place
  readonly threadExitMs: number
}

/** All that the pool touches of a Worker. */
class SimulatedWorker extends EventEmitter {
  readonly threadId: number
  readonly #end: () => void

  constructor(threadId: number, end: () => void) {
    super()
    this.threadId = threadId
    this.#end = end
  }

  async terminate(): Promise<number> {
    this.#end()
    return 1
  }
}

/** Of the time that a thread is given to exit, it takes so much at most. */
const EXIT_SHARE = 0.8

interface Run {
  readonly task: AnyTask
  resolve(answer: AnyAnswer): void
  reject(error: Error): void
}

/** One Worker from its boot to its exit. failed, terminated: its exit is on the way. */
interface Seat {
  readonly worker: SimulatedWorker
  readonly thread: SimulatedThread
  readonly relay: Relay
  readonly runs: Set<Run>
  readonly exited: Promise<void>
  /** Resolves `exited`. */
  readonly tellExit: () => void
  phase: 'live' | 'failed' | 'terminated' | 'exited'
  hasSuccessor: boolean
}

export class SimulatedEngine implements Engine {
  readonly #parts: EngineParts
  readonly #hooks: EngineHooks
  #seats: Seat[] = []
  #phase: 'open' | 'destroyed' = 'open'

  constructor(parts: EngineParts, count: number, hooks: EngineHooks) {
    this.#parts = parts
    this.#hooks = hooks
    parts.course.afterEach.push(() => this.#relay())
    for (let thread = 0; thread < count; thread++) this.#boot()
  }

  workers(): Worker[] {
    return this.#seats.map(({ worker }) => asWorker(worker))
  }

  busyMs(worker: Worker): number {
    return this.#seats.find(seat => asWorker(seat.worker) === worker)?.thread.busyMs ?? 0
  }

  run({ id, port }: Tenant, task: AnyTask): Promise<AnyAnswer> {
    const seat = this.#seats.find(({ worker }) => worker.threadId === id)
    // One that has ended, and of which nobody has heard yet, takes its tasks along.
    const isThere = seat?.phase === 'live' || (seat?.phase === 'failed' && !seat.hasSuccessor)
    if (seat === undefined || !isThere) return Promise.reject(new Error(`thread ${id} is not there`))
    const given = task.kind === 'hello' ? { ...task, port: seat.relay.open(port, task.port) } : task
    return new Promise((resolve, reject) => {
      const run: Run = { task, resolve, reject }
      seat.runs.add(run)
      const { course, dice } = this.#parts
      course.set({
        where: seat.thread.place,
        what: `is given ${describeTask(task)}`,
        delayMs: dice.below(3),
        queue: seat,
        happen: () => this.#perform(seat, run, given)
      })
    })
  }

  async destroy(): Promise<void> {
    this.#phase = 'destroyed'
    for (const seat of this.#seats) this.#terminate(seat)
    await Promise.all(this.#seats.map(({ exited }) => exited))
  }

  /** The process is no more: real ports must not outlive it. */
  abandon(): void {
    for (const { relay } of this.#seats) relay.close()
  }

  #boot(): void {
    const { course, dice, host, place } = this.#parts
    const id = host.nextThreadId()
    const threadPlace = new Place(`${place.name}/${id}`, place)
    const worker = new SimulatedWorker(id, () => this.#terminate(seat))
    const relay = new Relay({ course, dice, near: place, far: threadPlace })
    const thread = new SimulatedThread({
      course,
      dice,
      host,
      place: threadPlace,
      isBurning: dice.oneIn(2),
      isAborted: ({ batchId, attempt }) => attempt <= (relay.abortedAttempts.get(batchId) ?? 0),
      fail: how => this.#fail(seat, how)
    })
    const { promise: exited, resolve: tellExit } = withResolve()
    const seat: Seat = { worker, thread, relay, runs: new Set(), exited, tellExit, phase: 'live', hasSuccessor: false }
    this.#seats.push(seat)
    course.set({
      where: place,
      what: `thread ${id} is up`,
      delayMs: 1 + dice.below(50),
      happen: () => {
        if (seat.phase === 'live') this.#hooks.onReady(asWorker(worker))
      }
    })
  }

  #perform(seat: Seat, run: Run, given: AnyTask): void {
    const { course, dice, place } = this.#parts
    const answered = (answer: AnyAnswer): void => {
      const happen = (): void => {
        if (!seat.runs.delete(run)) return
        // What the thread said before lies in the pool's port already.
        seat.relay.flush()
        run.resolve(answer)
      }
      const what = `thread ${seat.worker.threadId} answers ${describeTask(run.task)}: ${answer.kind}`
      if (!seat.thread.place.isGone) course.set({ where: place, what, delayMs: dice.below(3), happen })
    }
    // It never rejects: an error of a task is an answer.
    seat.relay.whileThere(() => void seat.thread.perform(given).then(answered))
  }

  /** Node tells by `error` what nobody caught; `process.exit` has nothing to tell. */
  #fail(seat: Seat, how: 'error' | 'exit'): void {
    if (seat.phase !== 'live') return
    // None of its code runs any more, though its `Worker` has not emitted `exit`.
    seat.thread.place.end()
    seat.phase = 'failed'
    const { course, dice, place, threadExitMs } = this.#parts
    if (how === 'exit') {
      this.#exitAfter(seat, dice.below(50))
      return
    }
    const happen = (): void => {
      seat.worker.emit('error', new Error('nobody caught it'))
      if (dice.oneIn(2)) this.#rejectRuns(seat)
      // Piscina does not wait for the exit here.
      this.#replace(seat)
      this.#exitAfter(seat, dice.oneIn(3) ? dice.below(threadExitMs * EXIT_SHARE) : dice.below(300))
    }
    course.set({
      where: place,
      what: `thread ${seat.worker.threadId} tells of its error`,
      delayMs: dice.below(5),
      happen
    })
  }

  /** A call into the system may go on, with whatever it does; once it returns, no line of JavaScript runs any more. */
  #terminate(seat: Seat): void {
    if (seat.phase !== 'live') return
    seat.thread.place.end()
    seat.phase = 'terminated'
    const { dice, threadExitMs } = this.#parts
    this.#exitAfter(seat, dice.oneIn(3) ? dice.below(threadExitMs * EXIT_SHARE) : dice.below(20))
  }

  #exitAfter(seat: Seat, delayMs: number): void {
    const { course, place } = this.#parts
    course.set({ where: place, what: `thread ${seat.worker.threadId} exits`, delayMs, happen: () => this.#exit(seat) })
  }

  #exit(seat: Seat): void {
    const { dice } = this.#parts
    const wasFailed = seat.phase === 'failed'
    seat.phase = 'exited'
    seat.thread.place.end()
    seat.thread.end()
    this.#seats = this.#seats.filter(other => other !== seat)
    seat.relay.flush()
    const rejectFirst = dice.oneIn(2)
    if (rejectFirst) this.#rejectRuns(seat)
    seat.worker.emit('exit', wasFailed ? 1 : 0)
    this.#rejectRuns(seat)
    seat.relay.close()
    seat.tellExit()
    this.#replace(seat)
  }

  #replace(seat: Seat): void {
    if (this.#phase !== 'open' || seat.hasSuccessor) return
    seat.hasSuccessor = true
    this.#boot()
  }

  #rejectRuns(seat: Seat): void {
    for (const { task, reject } of seat.runs) {
      if (task.kind === 'batch') this.#parts.host.unanswered(task)
      if (task.kind === 'revoke') this.#parts.host.revokeUnanswered(task)
      reject(new Error('the thread has ended'))
    }
    seat.runs.clear()
  }

  #relay(): void {
    if (this.#parts.place.isGone) return
    for (const { relay } of this.#seats) relay.look()
  }
}

/** The pool asks for no more of a Worker than this has; that no test double can have all of the class is its only fault. */
function asWorker(worker: SimulatedWorker): Worker {
  return worker as unknown as Worker
}

function withResolve(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

function describeTask(task: AnyTask): string {
  switch (task.kind) {
    case 'batch':
      return `batch ${task.batchId} of ${task.topicId}#${task.partition} from ${task.startOffset}`
    case 'assign':
    case 'revoke':
      return `${task.kind} ${task.topicId}#${task.partition}`
    default:
      return task.kind
  }
}
