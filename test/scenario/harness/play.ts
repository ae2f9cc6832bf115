/**
 * Plays scenarios.
 *
 * In: what the emulator is to be like, and the scenario. Out: the scenario's own outcome; where it fails, the tail of each
 * consumer's log. Must never happen: a process or a file that outlives the scenario.
 */
import { type EmulatorOptions, startEmulator } from '../../../src/emulator/start.ts'
import { Stage } from './stage.ts'

const REPLAYS_MAX = 2
const REPLAYS_VARIABLE = 'CLS_SCENARIO_REPLAYS'

/**
 * Plays a scenario on a stage of its own: one topic of four partitions, unless said otherwise.
 *
 * A machine that stands still for longer than a heartbeat interval costs a consumer its lease, rightly, and what follows
 * is another scenario. Where one fails, and a lease was lost that it did not mean to be lost, it is played again: twice at
 * most, or as often as the environment's CLS_SCENARIO_REPLAYS says. With 0 a failure is a failure, whatever the machine did.
 */
export async function play(
  options: EmulatorOptions,
  scenario: (stage: Stage) => Promise<void>,
  replaysMax = readReplaysMax(process.env[REPLAYS_VARIABLE])
): Promise<void> {
  for (let playCount = 1; ; playCount++) {
    const emulator = await startEmulator({ topicCount: 1, partitionCount: 4, ...options, process: 'child' })
    const stage = new Stage(emulator, options.token ?? undefined)
    try {
      await scenario(stage)
      return
    } catch (error) {
      process.stderr.write(`${stage.logTails()}\n`)
      const strayed = stage.strayedConsumers()
      if (strayed.length === 0 || playCount > replaysMax) throw error
      process.stderr.write(`played again: ${strayed.join(', ')} lost a lease for no reason of the scenario: ${error}\n`)
    } finally {
      await stage.dispose()
    }
  }
}

/** Whatever is no count must not pass for one: who forbids replays relies on it. */
export function readReplaysMax(text: string | undefined): number {
  if (text === undefined || text === '') return REPLAYS_MAX
  if (!/^\d{1,3}$/.test(text)) throw new Error(`${REPLAYS_VARIABLE} is ${JSON.stringify(text)}: a count is expected`)
  return Number(text)
}
