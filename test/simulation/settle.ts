/** The end of one exchange: by its answer, its failure, or the caller's abort, whichever comes first. */
import type { SharedAnswer } from '../../src/cls/http.ts'

export interface Settle {
  readonly isOpen: boolean
  resolve(answer: SharedAnswer): void
  reject(error: unknown): void
}

/** `ended` is called with the end, whatever it is. */
export function settleOnce(
  signal: AbortSignal,
  resolve: (answer: SharedAnswer) => void,
  reject: (error: unknown) => void,
  ended: () => void
): Settle {
  let isOpen = true
  const once = (act: () => void): void => {
    if (!isOpen) return
    isOpen = false
    signal.removeEventListener('abort', onAbort)
    ended()
    act()
  }
  const onAbort = (): void => once(() => reject(signal.reason))
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    get isOpen() {
      return isOpen
    },
    resolve: answer => once(() => resolve(answer)),
    reject: error => once(() => reject(error))
  }
}
