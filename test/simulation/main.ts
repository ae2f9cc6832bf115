/**
 * Plays many seeds, or one of them with its trace.
 *
 *   npm run simulate -- --seeds 2000 --from 1     ends with `2000 seeds, 0 violations`; exits 1 where there are any
 *   npm run simulate -- --seed 17 --trace         what happens in this one, line by line
 *   npm run simulate -- --until-broken            up to the first violation, without its trace
 *
 * In: seeds. Out: for each that is broken, what is broken and the last of what happened.
 */
import { parseArgs } from 'node:util'
import type { Finding } from './findings.ts'
import { Play, type Verdict } from './play.ts'
import { drawScenario } from './scenario.ts'

/** Of the trace of a broken seed, so many lines are shown. */
const TAIL_LINES = 60

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    'until-broken': { type: 'boolean', default: false }
  }
})

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function play(seed: number, lines?: string[]): Promise<Verdict> {
  const trace = (atMs: number, where: string, what: string): void => {
    lines?.push(`${(atMs / 1000).toFixed(3).padStart(9)}  ${where.padEnd(10)} ${what}`)
  }
  return await new Play(drawScenario(seed), trace).run()
}

function tell(seed: number, findings: readonly Finding[]): void {
  const [first, ...others] = findings
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  if (first !== undefined) print(`seed ${seed} breaks ${first.invariant}: ${first.message}${more}`)
}

async function playOne(seed: number, tailLines: number): Promise<number> {
  const lines: string[] = []
  const { findings, stepCount, virtualMs } = await play(seed, lines)
  for (const line of lines.slice(-tailLines)) print(line)
  print(`seed ${seed}: ${stepCount} steps, ${virtualMs} virtual ms`)
  tell(seed, findings)
  return findings.length
}

async function playMany(from: number, count: number): Promise<number> {
  let brokenCount = 0
  for (let seed = from; seed < from + count; seed++) {
    const { findings } = await play(seed)
    if (findings.length === 0) continue
    brokenCount += 1
    if (values['until-broken']) {
      tell(seed, findings)
      break
    }
    // Again, with its trace: a seed plays the same every time.
    const again = await playOne(seed, TAIL_LINES)
    if (again === 0) print(`seed ${seed} broke ${findings[0]?.invariant}, and did not when it was played again`)
  }
  return brokenCount
}

const seedCount = values.seed === undefined ? Number(values.seeds) : 1
const violationCount =
  values.seed === undefined
    ? await playMany(Number(values.from), seedCount)
    : Math.min(1, await playOne(Number(values.seed), values.trace ? Number.POSITIVE_INFINITY : TAIL_LINES))
print(`${seedCount} seeds, ${violationCount} violations`)
process.exitCode = violationCount === 0 ? 0 : 1
