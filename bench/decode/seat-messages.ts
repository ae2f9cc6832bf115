/** What passes between the bench and the thread in which a contender sits. */
import type { Question } from '../corpus.ts'
import type { ContenderId, Pace, Time } from './contenders.ts'

export interface SeatOptions {
  readonly contender: ContenderId
  readonly question: Question
  readonly pace: Pace
  /** Of the thread; Node's own where there is none. */
  readonly youngGenerationMb: number | undefined
  /** The module that ours is taken from, where it is not `bench/ours.js`. */
  readonly ours?: string
}

/** Once the contender has given the right answer, or not. */
export interface Ready {
  readonly wrong: string | undefined
  /** What the thread got. */
  readonly youngGenerationMb: number | undefined
}

/** How many responses the contender shall do in one go. */
export type Run = number

export interface Sample extends Time {
  /** The whole of it, all responses together. */
  readonly run: Time & { readonly gcMs: number }
  /** Of the process, after the run. */
  readonly rssBytes: number
}
