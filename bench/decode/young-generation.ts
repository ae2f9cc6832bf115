/**
 * What the young generation's size does to a processor that makes an object of every log.
 *
 * In: a payload. Out: cost and memory by size, from which the size of the worker threads is chosen. Each size has a
 * process of its own, since only a process can say how much memory it takes; they take turns. Objects that live as long
 * as a batch are the young generation's worst case: too small, and it copies them; too large, and it leaves the cache.
 */
import type { Question } from '../corpus.ts'
import type { Spread } from '../statistics.ts'
import { takeOwnProcess } from './seat.ts'
import { measureInTurns, type Plan } from './turns.ts'

const SIZES_MB = [16, 32, 48, 64, 96, 128] as const

export interface YoungGeneration {
  readonly youngGenerationMb: number | undefined
  readonly cpuMs: Spread
  readonly gcShare: number
  /** Of the whole process, with one thread that decodes. */
  readonly rssMb: number
}

export async function measureYoungGenerations(question: Question, plan: Plan): Promise<YoungGeneration[]> {
  const contenders = SIZES_MB.map(youngGenerationMb => ({
    contender: 'ours-objects' as const,
    question,
    pace: 'back to back' as const,
    youngGenerationMb
  }))
  const measured = await measureInTurns(contenders, takeOwnProcess, plan)
  return measured.map(({ youngGenerationMb, cpuMs, gcShare, rssBytesMost }) => ({
    youngGenerationMb,
    cpuMs,
    gcShare,
    rssMb: Math.round(rssBytesMost / 1e6)
  }))
}
