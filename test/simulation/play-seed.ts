/** One seed, from its number to its verdict. */
import type { Finding } from './findings.ts'
import { Play } from './play.ts'
import { drawScenario } from './scenario.ts'

export interface SeedVerdict {
  readonly seed: number
  readonly findings: readonly Finding[]
  readonly stepCount: number
  readonly virtualMs: number
}

export async function playSeed(
  seed: number,
  trace: (atMs: number, where: string, what: string) => void = () => undefined
): Promise<SeedVerdict> {
  return { seed, ...(await new Play(drawScenario(seed), trace).run()) }
}
