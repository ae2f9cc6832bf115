/** Measured cases for tests: each contender takes 10 ms, but where it is said otherwise. */
import { CONTENDER_IDS, type ContenderId, type Pace, type Time } from '../../../bench/decode/contenders.ts'
import type { Case } from '../../../bench/decode/result.ts'
import type { PayloadName } from '../../../bench/payloads.ts'

export function casesOf(
  payload: PayloadName,
  times: Partial<Record<ContenderId, Time>> = {},
  pace: Pace = 'back to back'
): Case[] {
  return CONTENDER_IDS.map(contender => {
    const { cpuMs, wallMs } = times[contender] ?? { cpuMs: 10, wallMs: 10 }
    const spread = (median: number) => ({ median, least: median / 2, most: median * 2 })
    return {
      payload,
      contender,
      pace,
      youngGenerationMb: 48,
      responsesPerRun: 3,
      cpuMs: spread(cpuMs),
      wallMs: spread(wallMs),
      gcShare: 0.1,
      rssBytesMost: 1e8
    }
  })
}
