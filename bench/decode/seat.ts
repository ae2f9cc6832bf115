/**
 * A contender in its thread, as the bench sees it.
 *
 * In: which contender, which body, which limits. Out: samples, one run at a time. Must never happen: a bench that waits
 * forever, or that measures a contender whose answer is wrong.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { ContenderId, Pace } from './contenders.ts'
import type { Ready, Run, Sample, SeatOptions } from './seat-messages.ts'

const ANSWER_MS_MAX = 120_000

export interface Seat {
  readonly contender: ContenderId
  readonly pace: Pace
  /** Of the thread, as Node has it. */
  readonly youngGenerationMb: number | undefined
  run(responseCount: Run): Promise<Sample>
  end(): Promise<unknown>
}

/** In a thread of this process. @throws Error where the contender's answer is wrong. */
export function takeSeat(options: SeatOptions): Promise<Seat> {
  const { youngGenerationMb } = options
  const worker = new Worker(new URL('seat-thread.js', import.meta.url), {
    workerData: options,
    ...(youngGenerationMb === undefined ? {} : { resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb } })
  })
  return greet(options, worker, {
    tell: run => worker.postMessage(run),
    end: () => worker.terminate()
  })
}

/** In the only thread of a process of its own, so that the memory it takes can be told. */
export function takeOwnProcess(options: SeatOptions): Promise<Seat> {
  const child = fork(fileURLToPath(new URL('seat-process.js', import.meta.url)), { serialization: 'advanced' })
  child.send(options)
  return greet(options, child, {
    tell: run => child.send(run),
    end() {
      if (child.connected) child.disconnect()
      return child.exitCode === null ? once(child, 'exit') : Promise.resolve()
    }
  })
}

interface Means {
  tell(run: Run): unknown
  end(): Promise<unknown>
}

async function greet(
  { contender, pace }: SeatOptions,
  from: Worker | ChildProcess,
  { tell, end }: Means
): Promise<Seat> {
  const gone = new AbortController()
  from.once('exit', (code: number) => gone.abort(new Error(`${contender} ended with the code ${code}`)))
  // An error of the thread is thrown here too.
  const answer = async () => {
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(ANSWER_MS_MAX)])
    try {
      const [message] = await once(from, 'message', { signal })
      return message
    } catch (error) {
      // A thread that threw has often exited too by the time that its error gets here.
      throw error instanceof Error && error.name === 'AbortError' ? signal.reason : error
    }
  }
  const { wrong, youngGenerationMb }: Ready = await answer()
  if (wrong !== undefined) {
    await end()
    throw new Error(wrong)
  }
  const run = (responseCount: Run): Promise<Sample> => {
    const sample = answer()
    tell(responseCount)
    return sample
  }
  return { contender, pace, youngGenerationMb, run, end }
}
