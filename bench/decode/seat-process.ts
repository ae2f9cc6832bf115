/**
 * A process with one seat: passes on what is said between the bench and the contender's thread. Ends when the bench hangs up.
 */
import { once } from 'node:events'
import { takeSeat } from './seat.ts'
import type { Ready, Run, SeatOptions } from './seat-messages.ts'

const [options]: SeatOptions[] = await once(process, 'message')
if (options === undefined) throw new Error('no options came')
const taken = await takeSeat(options).catch((error: Error) => error)
if (taken instanceof Error) {
  process.send?.({ wrong: taken.message, youngGenerationMb: undefined } satisfies Ready)
} else {
  process.on('message', (count: Run) => taken.run(count).then(sample => process.send?.(sample)))
  process.once('disconnect', () => taken.end())
  process.send?.({ wrong: undefined, youngGenerationMb: taken.youngGenerationMb } satisfies Ready)
}
