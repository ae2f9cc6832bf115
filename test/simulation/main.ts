/**
 * Plays many seeds on all cores, or one of them with its trace.
 *
 *   npm run simulate -- --seeds 2000 --from 1     ends with `2000 seeds, 0 violations`; exits 1 where there are any
 *   npm run simulate -- --minutes 30              as many as there is time for
 *   npm run simulate -- --seed 17                 the last of what happened to the partition concerned; --trace: all of it
 *   npm run simulate -- --until-broken            up to the first violation, without its trace
 *
 * In: seeds. Out: for each that is broken, what is broken and the last of what happened; on standard error, how far it is.
 * Ctrl-C ends it with what was found so far.
 */
import { parseArgs } from 'node:util'
import { Crowd, type Judged } from './crowd.ts'
import { playSeed } from './play-seed.ts'
import { placesIn, Trace } from './trace.ts'

/** Of the trace of a broken seed, so many lines are shown. */
const TAIL_LINES = 40
const PROGRESS_MS = 10_000
const MINUTE_MS = 60_000

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    'until-broken': { type: 'boolean', default: false }
  }
})

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function tell({ seed, findings }: Judged): void {
  const [first, ...others] = findings
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`
  if (first !== undefined) print(`seed ${seed} breaks ${first.invariant}: ${first.message}${more}`)
}

/** Whether it is broken. */
async function playOne(seed: number): Promise<boolean> {
  const trace = new Trace()
  const judged = await playSeed(seed, trace.add)
  const places = placesIn(judged.findings)
  for (const line of values.trace ? trace.lines() : trace.tail(TAIL_LINES, places)) print(line)
  print(`seed ${seed}: ${judged.stepCount} steps, ${judged.virtualMs} virtual ms`)
  tell(judged)
  return judged.findings.length > 0
}

/** The broken ones. Each is played again, with its trace: a seed plays the same every time. */
async function playMany(crowd: Crowd): Promise<number> {
  let brokenCount = 0
  const beganMs = Date.now()
  const progress = setInterval(() => {
    const perSeed = Math.round((Date.now() - beganMs) / Math.max(1, crowd.doneCount))
    process.stderr.write(`${crowd.doneCount} seeds, ${brokenCount} violations so far, ${perSeed} ms a seed\n`)
  }, PROGRESS_MS)
  const stop = (): void => crowd.stop()
  process.once('SIGINT', stop)
  try {
    for await (const judged of crowd.broken()) {
      brokenCount += 1
      if (values['until-broken']) {
        tell(judged)
        crowd.stop()
      } else if (!(await playOne(judged.seed))) {
        print(`seed ${judged.seed} broke ${judged.findings[0]?.invariant}, and did not when it was played again`)
      }
    }
  } finally {
    clearInterval(progress)
    process.off('SIGINT', stop)
  }
  return brokenCount
}

function crowdOf(): Crowd {
  const { minutes, seeds, from, jobs } = values
  const count = Number(seeds ?? (minutes === undefined ? 200 : Number.POSITIVE_INFINITY))
  const untilMs = minutes === undefined ? Number.POSITIVE_INFINITY : Date.now() + Number(minutes) * MINUTE_MS
  const range = { from: Number(from), count, untilMs }
  return jobs === undefined ? new Crowd(range) : new Crowd(range, Number(jobs))
}

if (values.seed === undefined) {
  const crowd = crowdOf()
  const violationCount = await playMany(crowd)
  print(`${crowd.doneCount} seeds, ${violationCount} violations`)
  process.exitCode = violationCount === 0 ? 0 : 1
} else {
  const isBroken = await playOne(Number(values.seed))
  print(`1 seeds, ${isBroken ? 1 : 0} violations`)
  process.exitCode = isBroken ? 1 : 0
}
