/**
 * `cls-consumer bench`: what it costs to consume, on this host, with the user's own processor and data, or by the cases
 * that this package is held to.
 *
 * In: flags. Out: a table, and with `--json` every run as data. The server, the consumer and the rivals are processes of
 * their own, and none of them outlives the command. Nothing of it touches the service.
 */
import { writeFileSync } from 'node:fs'
import { runBench } from '../../bench/end-to-end/bench.ts'
import { printResult } from '../../bench/end-to-end/report.ts'
import type { Args } from '../config/option-sources.ts'
import { ClsConsumerError } from '../errors.ts'
import { benchPlan } from './bench-plan.ts'
import type { CommandWorld } from './command-world.ts'
import { createScreen } from './screen.ts'

export { benchFlags } from './bench-plan.ts'

/** @throws ClsConsumerError OPTIONS_INVALID, PROCESSOR_NOT_FOUND, BENCH_FAILED. */
export async function bench(args: Args, world: CommandWorld): Promise<void> {
  const { plan, jsonFile } = benchPlan(args, world)
  const screen = createScreen(world.stderr)
  const tell = (line: string) => (screen.live ? screen.status(line) : screen.line(line))
  try {
    const result = await runBench(plan, { tell, stop: world.stop })
    screen.close()
    world.stdout.write(printResult(result, 'text'))
    if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(result, undefined, 2)}\n`)
  } catch (error) {
    if (world.stop.aborted) screen.line('interrupted before the end: there is no result')
    else throw failed(error)
  } finally {
    screen.close()
  }
}

function failed(cause: unknown): ClsConsumerError {
  if (cause instanceof ClsConsumerError) return cause
  return new ClsConsumerError('BENCH_FAILED', cause instanceof Error ? cause.message : String(cause), { cause })
}
