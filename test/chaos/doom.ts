/**
 * What can befall a thread, or a batch on it, by the processor's own doing.
 *
 * In: the file in which the director leaves the name of a doom. Out: the doom, to the first thread that takes the file
 * away. A doom is said in the ledger before it strikes, so that what it excuses is known whatever becomes of the process.
 */
import { readFileSync, unlinkSync } from 'node:fs'

/** before: the batch has begun, and has no effect yet. after: all of its logs count as processed. */
export type Doom = { readonly kind: DoomKind; readonly when: 'before' | 'after' }

/**
 * exit: `process.exit`. throw: an exception that nobody catches. reject: a rejection that nobody handles. loop: an
 * endless loop. block: a call that never returns. fail: `process` throws, and the thread lives on.
 */
export const DOOM_KINDS = ['exit', 'throw', 'reject', 'loop', 'block', 'fail'] as const
export type DoomKind = (typeof DOOM_KINDS)[number]

export function printDoom({ kind, when }: Doom): string {
  return `${kind} ${when}`
}

export function parseDoom(text: string): Doom | undefined {
  const [kindText, when] = text.split(' ')
  const kind = DOOM_KINDS.find(known => known === kindText)
  return kind === undefined || (when !== 'before' && when !== 'after') ? undefined : { kind, when }
}

/** Whether the thread ends by it: then all that was open there is begun again. */
export function endsThread({ kind }: Doom): boolean {
  return kind !== 'fail'
}

/** By taking the file away: of all threads that look, one can. */
export function takeDoom(file: string): Doom | undefined {
  try {
    const text = readFileSync(file, 'utf8')
    unlinkSync(file)
    return parseDoom(text)
  } catch {
    // It is not there, or another thread was faster.
    return undefined
  }
}
