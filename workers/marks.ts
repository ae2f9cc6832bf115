/**
 * What a processor says by its context while a hook runs: `save`, and in `process` also `rewind` and `deadLetter`.
 *
 * In: calls of user code. Out: what was said, to be asked for once the hook has returned; of one that threw nobody asks.
 * Must never happen: a call that counts for nothing and says nothing of it. So one that comes when the hook has settled
 * throws, and one that the options give no meaning.
 *
 * The methods are bound, so that a processor may take its context apart: `process (batch, { save })`.
 */
import { inspect } from 'node:util'
import type { StartTask, ThreadLetter } from '../src/dispatch/messages.ts'
import { ClsConsumerError, type ErrorCode, type ErrorPlace } from '../src/errors.ts'
import type { BatchAccess } from './batch-access.ts'
import { BatchLetters } from './batch-letters.ts'
import { Log, LogGroup } from './batch-view.ts'
import { placeInStack } from './user-failure.ts'

/** Which of the methods mean something. */
export type MarkRules = Pick<StartTask, 'commitMode' | 'deadLetters'>

const OFFSET_MAX = 2n ** 63n - 1n

/** One call of a hook. */
class HookMarks {
  readonly #hook: 'process' | 'revoke'
  readonly #rules: MarkRules
  readonly #place: ErrorPlace
  #phase: 'running' | 'settled' = 'running'
  #isSaved = false

  constructor(hook: 'process' | 'revoke', rules: MarkRules, place: ErrorPlace) {
    this.#hook = hook
    this.#rules = rules
    this.#place = place
  }

  get isSaved(): boolean {
    return this.#isSaved
  }

  readonly save = (): void => {
    if (this.#rules.commitMode !== 'manual') {
      const why = `means nothing with commitMode: '${this.#rules.commitMode}', where all that is processed is committed`
      this.refuse('CONSUMER_STATE', 'save', `${why}; set commitMode: 'manual'`)
    }
    this.expectRunning('save')
    this.#isSaved = true
  }

  settle(): void {
    this.#phase = 'settled'
  }

  protected expectLetters(): void {
    if (this.#rules.deadLetters === 'written') return
    this.refuse('DEAD_LETTER_DIRECTORY', 'deadLetter', 'has nowhere to write to; set the option deadLetterDirectory')
  }

  protected expectRunning(method: string): void {
    if (this.#phase === 'running') return
    const why = `came after ${this.#hook} had settled and would count for nothing`
    this.refuse('CONSUMER_STATE', method, `${why}; await everything that ${this.#hook} starts`)
  }

  protected refuse(code: ErrorCode, method: string, why: string): never {
    const at = placeInStack(new Error().stack ?? '')
    const call = `context.${method}()${at === undefined ? '' : ` at ${at}`}`
    throw new ClsConsumerError(code, `${call} ${why}`, this.#place)
  }
}

export class RevokeMarks extends HookMarks {
  constructor(rules: MarkRules, place: ErrorPlace) {
    super('revoke', rules, place)
  }
}

export class BatchMarks extends HookMarks {
  readonly #access: BatchAccess
  #rewindOffset: bigint | undefined
  #letters: BatchLetters | undefined

  constructor(access: BatchAccess, rules: MarkRules, place: ErrorPlace) {
    super('process', rules, place)
    this.#access = access
  }

  /** Where to read again; `undefined` where the batch is to count. */
  get rewindOffset(): bigint | undefined {
    return this.#rewindOffset
  }

  get letters(): readonly ThreadLetter[] {
    return this.#letters?.all ?? []
  }

  readonly rewind = (offset: bigint | number): void => {
    this.expectRunning('rewind')
    this.#rewindOffset = toOffset(offset)
  }

  /** A log or group of a batch that has settled is told as any late use of it is. */
  readonly deadLetter = (logOrGroup: Log | LogGroup, reason: string): void => {
    this.expectLetters()
    const reader = this.#access.open()
    const log = Log.placeIn(this.#access, logOrGroup)
    const group = LogGroup.placeIn(this.#access, logOrGroup)
    if (log === undefined && group === undefined) throw noLog(logOrGroup)
    if (typeof reason !== 'string' || reason === '') throw noReason(reason)
    this.#letters ??= new BatchLetters()
    if (log !== undefined) this.#letters.addLog(reader, log, reason)
    if (group !== undefined) this.#letters.addGroup(reader, group, reason)
  }
}

/** Not every processor is checked by TypeScript. */
function toOffset(value: unknown): bigint {
  const offset = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof offset === 'bigint' && offset >= 0n && offset <= OFFSET_MAX) return offset
  throw new TypeError(`context.rewind(…) takes an offset, such as batch.startOffset, not ${show(value)}`)
}

function noLog(value: unknown): TypeError {
  const what = value instanceof Log || value instanceof LogGroup ? 'one of another batch' : show(value)
  return new TypeError(
    `context.deadLetter(logOrGroup, …) takes a log or a group of the batch that process was given, not ${what}`
  )
}

function noReason(value: unknown): TypeError {
  const cure = value instanceof Error ? '; give its message' : ''
  return new TypeError(
    `context.deadLetter(…, reason) takes the reason as a text that is not empty, not ${show(value)}${cure}`
  )
}

function show(value: unknown): string {
  return inspect(value, { depth: 0, maxStringLength: 100, breakLength: Number.POSITIVE_INFINITY })
}
