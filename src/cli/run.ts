/**
 * `cls-consumer run`: one consumer until it is stopped, or until its bounded run is done.
 *
 * In: flags, environment. Out: the log on standard error, results (if asked for) on standard output, and a closing line.
 * Signals come in as `stop`; this file neither handles signals nor ends the process.
 */
import { isAbsolute, resolve } from 'node:path'
import type { Options } from 'yargs'
import { Consumer } from '../consumer.ts'
import { createLogger, wantsColour } from '../observe/logger.ts'
import { flag, withDefault } from '../option-kinds.ts'
import { OPTIONS, type ResultPlace, type Settings } from '../options.ts'
import { OPTION_NAMES } from '../resolve-options.ts'
import type { CommandWorld } from './command-world.ts'
import { count, megabytes, seconds } from './format.ts'
import { type Args, credentialsFrom, type Env, flagsOf, OptionCheck } from './option-flags.ts'
import { resultLine, writeOut } from './result-lines.ts'

/** The command's own row, beside the option table. */
const OWN = {
  printResults: withDefault(
    false,
    flag({
      flag: 'print-results',
      help: 'Print what `process` returns to standard output, one JSON line a batch; it is committed once printed'
    })
  )
}

export const runFlags: Record<string, Options> = { ...flagsOf(OPTIONS), ...flagsOf(OWN) }

/** @throws ClsConsumerError of the options (all problems in one), or the one that stopped the consumer. */
export async function run(args: Args, world: CommandWorld): Promise<void> {
  const { settings, printResults } = runOptions(args, world.env, world.cwd)
  const startedMs = world.clock.monotonic()

  // Where nobody reads the results any more, nothing more can be delivered: that ends the run, in order.
  const unread = new AbortController()
  const printResult = async (result: unknown, place: ResultPlace) => {
    try {
      await writeOut(world.stdout, resultLine(result, place))
    } catch (error) {
      unread.abort(error)
      throw error
    }
  }
  const log = createLogger({
    level: settings.logLevel,
    // The failed deliveries that follow are what a reader such as `head` wanted.
    write: line => unread.signal.aborted || world.stderr.write(line),
    colour: wantsColour(world.stderr, world.env)
  })
  const consumer = new Consumer(printResults ? { ...settings, onResult: printResult } : settings, { log })

  const failure = await runUntilStopped(consumer, AbortSignal.any([world.stop, unread.signal]))
  const { logCount, batchCount, bodyBytes } = consumer.snapshot()
  const took = seconds(world.clock.monotonic() - startedMs)
  if (failure === undefined || batchCount > 0) {
    world.stderr.write(
      `${count(logCount)} logs in ${count(batchCount)} batches (${megabytes(bodyBytes)} compressed) processed in ${took}\n`
    )
  }
  if (failure !== undefined && !unread.signal.aborted) throw failure
}

/** Returns the error that ended the run, if any. Never leaves before the consumer has stopped. */
async function runUntilStopped(consumer: Consumer, stop: AbortSignal): Promise<unknown> {
  let failure: unknown
  const keep = (error: unknown) => {
    failure ??= error
  }
  // A stop may come while `start` still runs: `stop` is called at once then, and ends it.
  const stopNow = () => void consumer.stop().catch(keep)
  stop.addEventListener('abort', stopNow, { once: true })
  const finished = consumer.finished.catch(keep)
  try {
    await consumer.start()
    await finished
  } catch (error) {
    if (!stop.aborted) keep(error) // what was cut short by the stop is no failure
  } finally {
    stop.removeEventListener('abort', stopNow)
    await consumer.stop().catch(keep)
  }
  return failure
}

/** From flags and environment to settings; all that is wrong in one error, with the flags that mend it. */
export function runOptions(args: Args, env: Env, cwd: string): { settings: Settings; printResults: boolean } {
  const check = new OptionCheck(args, env, { ...OPTIONS, ...OWN })
  const given = check.given(OPTIONS)
  given.credentials = credentialsFrom(env)
  if (typeof given.processor === 'string') given.processor = absoluteProcessor(given.processor, cwd)
  const printResults = check.take(OWN.printResults)
  return { settings: check.finishWith(OPTION_NAMES, given), printResults }
}

function absoluteProcessor(path: string, cwd: string): string {
  return path === '' || path.startsWith('file:') || isAbsolute(path) ? path : resolve(cwd, path)
}
