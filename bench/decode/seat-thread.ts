/**
 * The thread in which a contender sits, alone: what it leaves in its heap is nobody else's, and the engine learns from
 * its calls only.
 *
 * In: counts of responses. Out: what those cost. Must never happen: a wrong answer that is measured. CPU time is the
 * process's: while one contender runs all others wait, and what the engine does for it in the background (collecting,
 * compiling) is waited for and counted. Pauses for garbage collection are told by `perf_hooks`.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { parentPort, resourceLimits, workerData } from 'node:worker_threads'
import { CONTENDERS, isOurs, type Time, type Work } from './contenders.ts'
import type { Ready, Run, Sample, SeatOptions } from './seat-messages.ts'

const LOOK_MS = 2
const QUIET_SHARE = 0.1
const LOOKS_MAX = 50

let gcMs = 0
new PerformanceObserver(list => {
  for (const { duration } of list.getEntries()) gcMs += duration
}).observe({ entryTypes: ['gc'] })

const options: SeatOptions = workerData
const work = await load(options)
const { wrong, answer } = judge(options, work)
const { maxYoungGenerationSizeMb: youngGenerationMb } = resourceLimits
parentPort?.on('message', (count: Run) => measure(count).then(sample => parentPort?.postMessage(sample)))
parentPort?.postMessage({ wrong, youngGenerationMb } satisfies Ready)

async function load({ contender, question, ours }: SeatOptions): Promise<Work> {
  if (!isOurs(contender)) return (await import('../rivals.ts')).makeRival(contender, question)
  const { makeOurs }: typeof import('../ours.ts') = await import(ours ?? '../ours.js')
  return makeOurs(contender, question)
}

function judge({ contender, question }: SeatOptions, { once, digest }: Work) {
  const expected = question.expected[CONTENDERS[contender].workload]
  const given = digest()
  return {
    wrong: given === expected ? undefined : `${contender} answers ${given} to ${question.name}, not ${expected}`,
    answer: once()
  }
}

async function measure(responseCount: Run): Promise<Sample> {
  await quiet()
  const gcBeforeMs = gcMs
  const partBefore = work.part?.()
  const cpuBefore = process.cpuUsage()
  const beganMs = performance.now()
  const answers = options.pace === 'with turns' ? await sumWithTurns(responseCount) : sumBackToBack(responseCount)
  const wallMs = performance.now() - beganMs
  await quiet()
  const { user, system } = process.cpuUsage(cpuBefore)
  // What is never looked at, the engine may leave out.
  if (answers !== answer * responseCount) throw new Error(`${options.contender} changed its answer`)
  const run = { cpuMs: (user + system) / 1000, wallMs, gcMs: gcMs - gcBeforeMs }
  const counted = difference(work.part?.(), partBefore) ?? run
  return {
    cpuMs: counted.cpuMs / responseCount,
    wallMs: counted.wallMs / responseCount,
    run,
    rssBytes: process.memoryUsage.rss()
  }
}

function difference(after: Time | undefined, before: Time | undefined): Time | undefined {
  if (after === undefined || before === undefined) return undefined
  return { cpuMs: after.cpuMs - before.cpuMs, wallMs: after.wallMs - before.wallMs }
}

function sumBackToBack(responseCount: number): number {
  let answers = 0
  for (let index = 0; index < responseCount; index++) answers += work.once()
  return answers
}

async function sumWithTurns(responseCount: number): Promise<number> {
  let answers = 0
  for (let index = 0; index < responseCount; index++) {
    answers += work.once()
    await turn()
  }
  return answers
}

/** Waits until nothing runs in the background; by then the pauses have been told too, which takes a turn or two. */
async function quiet(): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    const before = process.cpuUsage()
    await sleep(LOOK_MS)
    const { user, system } = process.cpuUsage(before)
    if (look > 0 && user + system < LOOK_MS * 1000 * QUIET_SHARE) return
  }
}
