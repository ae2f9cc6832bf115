/**
 * How most scenarios end: everything due is processed and committed, the consumers stop in order, and the run was sound.
 *
 * In: a stage whose producers have come to rest. Out: the judge's verdict. Must never happen: a repeat that nothing
 * explains, or a lost lease, passes where the scenario has interrupted nobody.
 */
import assert from 'node:assert/strict'
import type { Interruption, Sent } from './evidence.ts'
import type { Verdict } from './judge.ts'
import { assertSound } from './plant.ts'
import type { Stage } from './stage.ts'

export interface Ending {
  /** What was due; everything that the server has acknowledged, unless said otherwise. */
  readonly expected?: ReadonlyMap<string, Sent>
  readonly permitted?: ReadonlySet<string>
  /** Asked for once all have stopped. Given at all: repeats that they explain are right, and so are lost leases. */
  readonly interruptions?: () => readonly Interruption[]
}

export async function finishSound(stage: Stage, ending: Ending = {}): Promise<Verdict> {
  const { expected = stage.producer.acknowledged, permitted, interruptions } = ending
  await stage.processed(expected.keys())
  await stage.allCommitted()
  const killed = (interruptions?.() ?? []).filter(({ kind }) => kind === 'killed').map(({ process }) => process)
  for (const consumer of stage.consumers) {
    if (consumer.events('finished').length > 0 || killed.includes(consumer.name)) continue
    assert.equal((await consumer.stop()).code, undefined, `${consumer.name} stops in order`)
  }
  assert.ok(await stage.isAllCommitted(), 'what was committed to the end stays so')

  const verdict = assertSound(
    stage.evidence({
      expected,
      ...(permitted === undefined ? {} : { permitted }),
      ...(interruptions === undefined ? {} : { interruptions: interruptions() })
    })
  )
  if (interruptions !== undefined) return verdict
  assert.deepEqual(verdict.explained, [], 'nothing twice')
  for (const consumer of stage.consumers) assert.deepEqual(consumer.events('leaseLost'), [], consumer.name)
  return verdict
}
