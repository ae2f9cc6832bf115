/**
 * What user code does wrong: a processor that throws, hangs, or takes its thread with it.
 *
 * In: the misdeeds that a scenario asks for, and the logs of a batch. Out: the first of them that concerns the batch is done;
 * those that end a thread never return. Must never happen: one that strikes a batch it was not meant for.
 */
import { existsSync } from 'node:fs'

export interface Misdeed {
  /** Strikes the batch that holds this log. */
  readonly id: string
  readonly how: Manner
  /** On so many attempts, the first ones; absent: on each. */
  readonly attempts?: number
  /** Only while this file exists. */
  readonly whileFile?: string
}

/** throw: the attempt fails. All others end the thread, the last two not by themselves. */
export type Manner = 'throw' | 'exit' | 'uncaught' | 'rejection' | 'heap' | 'loop' | 'wait'

const CHUNK_LENGTH = 10_000

export async function misbehave(misdeeds: readonly Misdeed[], ids: readonly string[], attempt: number): Promise<void> {
  const misdeed = misdeeds.find(
    ({ id, attempts = attempt, whileFile }) =>
      ids.includes(id) && attempt <= attempts && (whileFile === undefined || existsSync(whileFile))
  )
  if (misdeed !== undefined) await MANNERS[misdeed.how](misdeed.id)
}

const MANNERS: Readonly<Record<Manner, (id: string) => unknown>> = {
  throw: id => {
    throw new Error(`the sink refuses ${id}`)
  },
  exit: () => process.exit(1),
  uncaught: id => {
    queueMicrotask(() => {
      throw new Error(`nobody catches what ${id} has brought about`)
    })
    return forEver()
  },
  rejection: id => {
    void Promise.reject(new Error(`nobody awaits what ${id} has brought about`))
    return forEver()
  },
  heap: () => {
    const kept: object[] = []
    for (;;) kept.push(Array.from({ length: CHUNK_LENGTH }, (_, index) => ({ index })))
  },
  loop: () => {
    for (;;);
  },
  wait: () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

function forEver(): Promise<void> {
  return new Promise(() => undefined)
}
