/** Calls of a fake that wait for the test: it looks at what was asked, then answers, refuses, or stays silent. */
import assert from 'node:assert/strict'

export interface Call<Ask, Answer> {
  readonly ask: Ask
  readonly isOpen: boolean
  answer(value: Answer): void
  refuse(error: unknown): void
}

export class Calls<Ask, Answer> {
  /** Every call so far, in order. */
  readonly all: Call<Ask, Answer>[] = []
  /** Answers calls as they come, where set. What it throws refuses the call. */
  always: ((ask: Ask) => Answer) | undefined

  /** The promise that the fake hands to the code under test. An abort refuses it. */
  make(ask: Ask, signal?: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      let isOpen = true
      const end = (act: () => void) => {
        assert.ok(isOpen, 'a call was answered twice')
        isOpen = false
        signal?.removeEventListener('abort', onAbort)
        act()
      }
      const onAbort = () => end(() => reject(signal?.reason))
      const call: Call<Ask, Answer> = {
        ask,
        get isOpen() {
          return isOpen
        },
        answer: value => end(() => resolve(value)),
        refuse: error => end(() => reject(error))
      }
      this.all.push(call)
      if (signal?.aborted === true) return onAbort()
      signal?.addEventListener('abort', onAbort)
      if (this.always === undefined) return
      try {
        call.answer(this.always(ask))
      } catch (error) {
        call.refuse(error)
      }
    })
  }

  get asks(): Ask[] {
    return this.all.map(({ ask }) => ask)
  }

  get open(): Call<Ask, Answer>[] {
    return this.all.filter(({ isOpen }) => isOpen)
  }

  /** The only open call; fails where there is none, or another. */
  get only(): Call<Ask, Answer> {
    const [call, ...others] = this.open
    assert.ok(call !== undefined && others.length === 0, `one open call was expected, there are ${this.open.length}`)
    return call
  }
}

/** Everything that is ready to run, runs. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** What takes several turns has come about; fails where it has not after many. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo(); turns++) {
    assert.ok(turns < 100, 'it does not come about')
    await turn()
  }
}

/** The same of what takes real time: a test that waits for what never comes ends, instead of going round for ever. */
export async function eventually(isSo: () => boolean | Promise<boolean>, limitMs = 20_000): Promise<void> {
  for (const startedMs = Date.now(); !(await isSo()); ) {
    assert.ok(Date.now() - startedMs < limitMs, `it has not come about within ${limitMs} ms`)
    await new Promise(resolve => setImmediate(resolve))
  }
}
