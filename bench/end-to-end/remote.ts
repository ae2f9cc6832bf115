/**
 * A process of its own, and the calls to it.
 *
 * In: the compiled module of the process. Out: its functions, as if they were here. Each call is answered once, and has a
 * limit. Must never happen: a process that outlives the bench, however that ended: the channel closes with it, and the
 * process ends then.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { ClsConsumerError, type Failure, fromFailure, toFailure } from '../../src/errors.ts'

/** A process's functions: one plain value in, one out. */
export type Calls<C> = { readonly [K in keyof C]: (argument: never) => unknown }

type Argument<F> = F extends (argument: infer A) => unknown ? A : never
type Answer<F> = F extends (...given: never) => infer R ? Awaited<R> : never

/**
 * As they are read. What a name takes and answers is known where it is called, and both ends are of one version; here it
 * only passes through, so nothing could be done with it.
 */
interface Call {
  readonly callId: number
  readonly name: string
  readonly argument: never
}

interface Reply {
  readonly callId: number
  readonly answer: never
  readonly failure?: Failure
}

interface Waiting {
  readonly resolve: (answer: never) => void
  readonly reject: (error: Error) => void
}

const CALL_MS_MAX = 120_000

export class Remote<C extends Calls<C>> {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  #callCount = 0

  /** `file`: of the compiled module, beside this one. */
  constructor(file: string) {
    this.#name = file.replace(/\.js$/, '')
    this.#child = fork(new URL(`./${file}`, import.meta.url), [], {
      serialization: 'advanced',
      // A process group of its own: Ctrl-C is for the bench, which then hangs up.
      detached: true,
      // Node's default flags, for everyone.
      execArgv: [],
      env: environment(),
      stdio: ['ignore', 'ignore', 'inherit', 'ipc']
    })
    this.#child.on('message', (reply: Reply) => this.#take(reply))
    this.#child.on('error', ({ message }) => this.#fail(message))
    this.#exited = new Promise(resolve => {
      this.#child.once('exit', (code, signal) => {
        this.#fail(`it ended (${signal ?? code})`)
        resolve()
      })
    })
  }

  call<N extends keyof C & string>(name: N, argument: Argument<C[N]>): Promise<Answer<C[N]>> {
    const callId = this.#callCount++
    return new Promise((resolve, reject) => {
      const limit = setTimeout(() => this.#fail(`${name} took more than ${CALL_MS_MAX} ms`), CALL_MS_MAX)
      const settled = () => clearTimeout(limit)
      this.#waiting.set(callId, {
        resolve: answer => [settled(), resolve(answer)],
        reject: error => [settled(), reject(error)]
      })
      if (!this.#child.connected) this.#fail('it is gone')
      else this.#child.send({ callId, name, argument }, error => error !== null && this.#fail(error.message))
    })
  }

  /** Ends it, whatever it does. */
  async end(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #take({ callId, answer, failure }: Reply): void {
    const waiting = this.#waiting.get(callId)
    this.#waiting.delete(callId)
    if (failure !== undefined) waiting?.reject(fromFailure(failure))
    else waiting?.resolve(answer)
  }

  #fail(reason: string): void {
    const message = `the process ${this.#name} does not answer: ${reason}`
    for (const { reject } of this.#waiting.values()) reject(new ClsConsumerError('BENCH_FAILED', message))
    this.#waiting.clear()
  }
}

/** The other end: answers by these functions until the bench hangs up. */
export function answerCalls<C extends Calls<C>>(calls: C): void {
  const byName = new Map<string, (argument: never) => unknown>(Object.entries(calls))
  process.on('message', async ({ callId, name, argument }: Call) => {
    const reply = await answerOf(byName.get(name), argument)
    if (process.connected) process.send?.({ callId, ...reply })
  })
  process.once('disconnect', () => process.exit())
}

async function answerOf(
  call: ((argument: never) => unknown) | undefined,
  argument: never
): Promise<{ readonly answer: unknown } | { readonly failure: Failure }> {
  try {
    return { answer: await call?.(argument) }
  } catch (error) {
    return { failure: toFailure(error, 'BENCH_FAILED') }
  }
}

/** Nothing of a consumer's settings, least of all its secrets, gets into these processes. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CLS_')))
}
