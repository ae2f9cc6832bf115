/**
 * Measures contenders in turns, so that all meet the same moods of the machine.
 *
 * In: who they are, and how they take their seats. Out: for each, medians over runs. A run is as many responses as fill `runMs`, and never fewer than `responsesMin`, so that it has its share of
 * the garbage collection: of single responses the median one has none. All runs before the first that counts warm up.
 */
import { type Spread, spreadOf, sum } from '../statistics.ts'
import type { ContenderId, Pace } from './contenders.ts'
import type { Seat } from './seat.ts'
import type { Sample, SeatOptions } from './seat-messages.ts'

export interface Plan {
  readonly runCount: number
  readonly warmUpCount: number
  /** About how long a run is to take, */
  readonly runMs: number
  /** but never fewer responses. */
  readonly responsesMin: number
}

/** Of one response. */
export interface Measured {
  readonly contender: ContenderId
  readonly pace: Pace
  /** Of its thread, in MB, as Node has it. */
  readonly youngGenerationMb: number | undefined
  readonly responsesPerRun: number
  readonly cpuMs: Spread
  readonly wallMs: Spread
  /** Pauses for garbage collection ÷ time, over all runs. Both by the clock: what else runs stretches them alike. */
  readonly gcShare: number
  readonly rssBytesMost: number
}

/** @throws Error where a contender's answer is wrong. */
export async function measureInTurns(
  contenders: readonly SeatOptions[],
  take: (options: SeatOptions) => Promise<Seat>,
  plan: Plan
): Promise<Measured[]> {
  const seats: Seat[] = []
  try {
    for (const options of contenders) seats.push(await take(options))
    return await playTurns(seats, plan)
  } finally {
    for (const seat of seats) await seat.end()
  }
}

interface Player {
  readonly seat: Seat
  responsesPerRun: number
  readonly samples: Sample[]
}

async function playTurns(seats: readonly Seat[], plan: Plan): Promise<Measured[]> {
  const players: Player[] = []
  for (const seat of seats) players.push({ seat, responsesPerRun: await fillRun(seat, plan), samples: [] })
  for (let run = -plan.warmUpCount; run < plan.runCount; run++) {
    for (const player of players) {
      const sample = await player.seat.run(player.responsesPerRun)
      if (run >= 0) player.samples.push(sample)
      // Warmer threads do more in the same time.
      else player.responsesPerRun = responsesIn(sample, player.responsesPerRun, plan)
    }
  }
  return players.map(summarize)
}

/** How many responses make a run. The first ones are slow, and some are very short: twice as many until they tell. */
async function fillRun(seat: Seat, plan: Plan): Promise<number> {
  for (let count = 1; ; count *= 2) {
    const sample = await seat.run(count)
    if (sample.run.wallMs >= plan.runMs) return responsesIn(sample, count, plan)
  }
}

function responsesIn(sample: Sample, responseCount: number, { runMs, responsesMin }: Plan): number {
  return Math.max(responsesMin, Math.round((responseCount * runMs) / sample.run.wallMs))
}

function summarize({ seat, responsesPerRun, samples }: Player): Measured {
  return {
    contender: seat.contender,
    pace: seat.pace,
    youngGenerationMb: seat.youngGenerationMb,
    responsesPerRun,
    cpuMs: spreadOf(samples.map(sample => sample.cpuMs)),
    wallMs: spreadOf(samples.map(sample => sample.wallMs)),
    gcShare: sum(samples.map(({ run }) => run.gcMs)) / sum(samples.map(({ run }) => run.wallMs)),
    rssBytesMost: Math.max(...samples.map(sample => sample.rssBytes))
  }
}
