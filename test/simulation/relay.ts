/**
 * The port between the main thread and one simulated thread.
 *
 * The pool and the thread each have one end of a real channel, since they read them with `receiveMessageOnPort`. What
 * comes out at the far side of either is kept here, and put into the other one by an event of the course: so that the
 * moment is drawn by seed, and not by Node's event loop. As in reality, a message that was posted lies in the port at
 * once, though it is noticed later: who looks for it finds it, after a block, or when an answer overtakes it.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { ToClient } from '../../src/dispatch/messages.ts'
import type { Dice } from '../fuzz/dice.ts'
import type { Course, Place } from './course.ts'

export interface RelayParts {
  readonly course: Course
  readonly dice: Dice
  /** The process's main thread. */
  readonly near: Place
  readonly far: Place
}

/** Messages in one direction: posted, and not noticed yet. */
interface Lane {
  readonly waiting: unknown[]
  readonly where: Place
  /** They are put in here, and come out where they are awaited. */
  into: MessagePort | undefined
  out: MessagePort | undefined
}

export class Relay {
  readonly #course: Course
  readonly #dice: Dice
  /** Between here and the thread. */
  readonly #channel = new MessageChannel()
  readonly #toThread: Lane
  readonly #toPool: Lane
  /** By batch, the last attempt whose abort lies in the thread's port, or has. */
  readonly abortedAttempts = new Map<number, number>()
  #isOpen = false

  constructor({ course, dice, near, far }: RelayParts) {
    this.#course = course
    this.#dice = dice
    const { port1, port2 } = this.#channel
    this.#toThread = { waiting: [], where: far, into: port1, out: port2 }
    this.#toPool = { waiting: [], where: near, into: undefined, out: undefined }
  }

  /** Begins with the pool's own end, and the one it has sent. Returns the port that the thread gets in place of that. */
  open(pool: MessagePort, sent: MessagePort): MessagePort {
    this.#toPool.into = sent
    this.#toPool.out = pool
    this.#isOpen = true
    const { port2 } = this.#channel
    for (const port of [pool, port2]) port.on('message', () => this.#arrived())
    return port2
  }

  /** Takes what was posted, and sets it on its way. */
  look(): void {
    if (!this.#isOpen) return
    this.#take(this.#toPool.into, this.#toThread)
    for (const message of this.#toThread.waiting) {
      if (isAbort(message)) this.abortedAttempts.set(message.batchId, message.attempt)
    }
    this.#take(this.#toThread.into, this.#toPool)
  }

  /** What was posted to the thread lies in its port while `run` runs, which may look for it. */
  whileThere(run: () => void): void {
    this.look()
    const { waiting, into, out } = this.#toThread
    for (const message of waiting.splice(0)) into?.postMessage(message)
    run()
    if (out !== undefined && this.#isOpen) for (const message of taken(out)) this.#notice(this.#toThread, message)
  }

  /** The pool is about to look for what the thread has posted. */
  flush(): void {
    this.look()
    for (const message of this.#toPool.waiting.splice(0)) this.#toPool.into?.postMessage(message)
  }

  close(): void {
    this.#isOpen = false
    this.#channel.port1.close()
    this.#toPool.into?.close()
  }

  #take(from: MessagePort | undefined, lane: Lane): void {
    for (const message of from === undefined ? [] : taken(from)) {
      lane.waiting.push(message)
      this.#course.set({
        where: lane.where,
        what: `receives ${kindOf(message)}`,
        delayMs: this.#dice.below(3),
        queue: lane,
        // It may have been looked for, and found.
        happen: () => this.#noticeNext(lane, message)
      })
    }
  }

  #noticeNext(lane: Lane, message: unknown): void {
    if (lane.waiting[0] !== message) return
    lane.waiting.shift()
    this.#notice(lane, message)
  }

  #notice({ into }: Lane, message: unknown): void {
    if (!this.#isOpen || into === undefined) return
    this.#course.underwayCount += 1
    into.postMessage(message)
  }

  #arrived(): void {
    this.#course.underwayCount -= 1
  }
}

function taken(port: MessagePort): unknown[] {
  const messages: unknown[] = []
  for (;;) {
    const received: { message: unknown } | undefined = receiveMessageOnPort(port)
    if (received === undefined) return messages
    messages.push(received.message)
  }
}

/** Both ends are of one version: that its kind is there tells it from anything else. */
function isAbort(message: unknown): message is ToClient {
  return kindOf(message) === 'abort'
}

function kindOf(message: unknown): string {
  return typeof message === 'object' && message !== null && 'kind' in message ? String(message.kind) : 'a message'
}
