/**
 * A process in which npm snappy and the kernel take turns, without a turn of the event loop.
 *
 * In: a payload by name, and how many runs count. Out, on stdout: JSON. A run is one body.
 */
import { makePayload } from '../corpus.ts'
import { makeOurs } from '../ours.ts'
import { isPayloadName } from '../payloads.ts'
import { makeRival } from '../rivals.ts'
import { spreadOf } from '../statistics.ts'
import type { FreshSnappy } from './fresh-snappy.ts'
import { PartTimer } from './part-timer.ts'

const WARM_UP_RUNS = 10

const [, , name = '', runCount = ''] = process.argv
const payload = isPayloadName(name) ? makePayload(name) : undefined
if (payload === undefined) throw new Error(`there is no ${name}`)
const npm = makeRival('npm-snappy-alone', payload)
const kernel = makeOurs('kernel-snappy-alone', payload)
if (npm.digest() !== payload.expected.snappy || kernel.digest() !== payload.expected.snappy)
  throw new Error(`${name} is not what was compressed`)

const [npmMs, kernelMs]: [number[], number[]] = [[], []]
for (let run = -WARM_UP_RUNS; run < Number(runCount); run++) {
  const [npmRunMs, kernelRunMs] = [cpuMsOf(npm.once), cpuMsOf(kernel.once)]
  if (run < 0) continue
  npmMs.push(npmRunMs)
  kernelMs.push(kernelRunMs)
}
const answer: FreshSnappy = { npmMs: spreadOf(npmMs), kernelMs: spreadOf(kernelMs) }
process.stdout.write(JSON.stringify(answer))

function cpuMsOf(work: () => number): number {
  const timer = new PartTimer()
  timer.time(work)
  return timer.sum().cpuMs
}
