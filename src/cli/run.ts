/**
 * `cls-consumer run`: one consumer until it is stopped, or until its bounded run is done.
 *
 * In: flags, environment, a config file. Out: the log on standard error, results (if asked for) on standard output, and a
 * closing line; or what is in force, without doing anything. Signals come in as `stop`; this file neither handles signals
 * nor ends the process.
 */
import { resolve } from 'node:path'
import type { Options } from 'yargs'
import { CONFIG } from '../config/config-file.ts'
import { credentialsFrom, credentialVariables } from '../config/env-credentials.ts'
import { OptionCheck } from '../config/option-check.ts'
import type { Args, Env } from '../config/option-sources.ts'
import { Consumer } from '../consumer.ts'
import type { ConsumerSnapshot } from '../consumer-events.ts'
import { createLogger, wantsColour } from '../observe/logger.ts'
import { flag, withDefault } from '../option-kinds.ts'
import { OPTIONS, type ResultPlace, type Settings } from '../options.ts'
import { type LocatedProcessor, locateProcessor } from '../processor-source.ts'
import { OPTION_NAMES } from '../resolve-options.ts'
import type { CommandWorld } from './command-world.ts'
import { count, counted, megabytes, seconds } from './format.ts'
import { flagsOf } from './option-flags.ts'
import { printConfig } from './print-config.ts'
import { resultLine, writeOut } from './result-lines.ts'
import { tellWaits } from './stop-waits.ts'

/** The command's own rows, beside the option table. */
const OWN = {
  ...CONFIG,
  printConfig: withDefault(
    false,
    flag({ flag: 'print-config', help: 'Print what is in force and where each value is from, then exit' })
  ),
  printResults: withDefault(
    false,
    flag({
      flag: 'print-results',
      help: 'Print what `process` returns to standard output, one JSON line a batch; it is committed once printed'
    })
  )
}

export const runFlags: Record<string, Options> = { ...flagsOf(OWN), ...flagsOf(OPTIONS) }

/** @throws ClsConsumerError of the options (all problems in one), or the one that stopped the consumer. */
export async function run(args: Args, world: CommandWorld): Promise<void> {
  const { settings, processor, printResults, config } = runOptions(args, world.env, world.cwd)
  if (config !== undefined) {
    world.stdout.write(config)
    return
  }
  if (processor?.failure !== undefined) throw processor.failure
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
  if (processor?.warning !== undefined) log.warn(processor.warning)
  const consumer = new Consumer(printResults ? { ...settings, onResult: printResult } : settings, { log })

  const waits = tellWaits(consumer, settings, { ...world, log })
  const failure = await runUntilStopped(consumer, AbortSignal.any([world.stop, unread.signal])).finally(waits.cancel)
  const totals = consumer.snapshot()
  const took = seconds(world.clock.monotonic() - startedMs)
  const givenUp = givenUpText(totals)
  if (failure === undefined || totals.batchCount > 0 || givenUp !== '') {
    const { logCount, batchCount, bodyBytes } = totals
    const processed = `${counted(logCount, 'log')} in ${counted(batchCount, 'batch', 'batches')}`
    world.stderr.write(`${processed} (${megabytes(bodyBytes)} compressed) processed in ${took}${givenUp}\n`)
  }
  if (failure !== undefined && !unread.signal.aborted) throw failure
}

/** `; skipped: 2 batches, 17 messages in all; dead letters: 3`, of what there is. */
function givenUpText({ skippedBatchCount, skippedMessageCount, deadLetterCount }: ConsumerSnapshot): string {
  const batches = skippedBatchCount === 0 ? [] : [counted(skippedBatchCount, 'batch', 'batches')]
  const inAll = skippedBatchCount === 0 ? '' : ' in all'
  const messages = skippedMessageCount === 0 ? [] : [`${counted(skippedMessageCount, 'message')}${inAll}`]
  const skipped = [...batches, ...messages].join(', ')
  const letters = deadLetterCount === 0 ? '' : `; dead letters: ${count(deadLetterCount)}`
  return `${skipped === '' ? '' : `; skipped: ${skipped}`}${letters}`
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

export interface RunOptions {
  readonly settings: Settings
  /** Why it cannot be found is kept in it until all that is wrong with the options has been told. */
  readonly processor: LocatedProcessor | undefined
  readonly printResults: boolean
  /** What `--print-config` prints, where it is given. */
  readonly config: string | undefined
}

/** From flags, environment and file to settings; all that is wrong in one error, with where it stands. */
export function runOptions(args: Args, env: Env, cwd: string): RunOptions {
  const check = new OptionCheck(args, env, { ...OPTIONS, ...OWN })
  check.readConfig(cwd)
  const given = check.given(OPTIONS)
  given.credentials = credentialsFrom(env)
  let processor: LocatedProcessor | undefined
  if (typeof given.processor === 'string') {
    processor = locateProcessor(given.processor, check.folderOf('processor', cwd))
    given.processor = processor.file
  }
  if (typeof given.deadLetterDirectory === 'string') {
    given.deadLetterDirectory = resolve(check.folderOf('deadLetterDirectory', cwd), given.deadLetterDirectory)
  }
  const printResults = check.take(OWN.printResults)
  const wantsConfig = check.take(OWN.printConfig)
  const settings = check.finishWith(OPTION_NAMES, given)
  const sources = { originOf: (name: string) => check.originOf(name), credentials: credentialVariables(env) }
  return { settings, processor, printResults, config: wantsConfig ? printConfig(settings, sources) : undefined }
}
