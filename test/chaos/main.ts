/**
 * Chaos with real processes.
 *
 *   npm run chaos -- --seconds 60 --seed 7     ends with `lost 0, repeated R (explained R), out of order 0`, or exits 1
 *   npm run chaos -- --plant loss              shows that a loss is found; also `repeat` and `order`
 *
 * In: how long, and the seed of what is done to whom. Out: the last line on standard output; all else on standard error.
 * The seed repeats the deeds, not what they meet: real processes keep no time. Exits 130 where it was interrupted.
 */
import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { PLANTS } from './verdict.ts'

const SECONDS_MAX = 24 * 60 * 60
const INTERRUPTED_CODE = 130

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    plant: { type: 'string' }
  }
})

function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  if (/^\d{1,10}$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text)
  say(`--${name} is ${text}: a whole number from ${min} to ${max} is expected`)
  process.exit(1)
}

const seconds = wholeNumber('seconds', values.seconds, 1, SECONDS_MAX)
const seed = wholeNumber('seed', values.seed, 0, 2 ** 32 - 1)
const plant = PLANTS.find(known => known === values.plant)
if (values.plant !== undefined && plant === undefined) {
  say(`--plant is ${values.plant}: ${PLANTS.join(', ')} are expected`)
  process.exit(1)
}

const interrupt = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!interrupt.signal.aborted) say(`${signal}: ending all processes`)
    interrupt.abort()
  })
}

say(`chaos for ${seconds} s, seed ${seed}; the same deeds again: npm run chaos -- --seconds ${seconds} --seed ${seed}`)
const findings = await runChaos({ seconds, seed, plant, signal: interrupt.signal, say })
if (findings === undefined) process.exitCode = INTERRUPTED_CODE
else {
  for (const complaint of findings.complaints) say(complaint)
  if (findings.folder !== undefined) say(`the evidence is kept in ${findings.folder}`)
  process.stdout.write(`${findings.lastLine}\n`)
  process.exitCode = findings.isSound ? 0 : 1
}
