import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { makePayload, type Payload } from '../../../bench/corpus.ts'
import { copyWithoutCheck } from '../../../bench/decode/closed-check.ts'
import { takeSeat } from '../../../bench/decode/seat.ts'

describe('the copy without the check that a batch is open', { timeout: 60_000 }, () => {
  let folder: string
  let compiled: string
  let question: Payload
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'closed-check-'))
    compiled = copyWithoutCheck(join(folder, 'copy'))
    question = makePayload('tiny') ?? assert.fail('there is no tiny payload')
  })
  after(() => rmSync(folder, { recursive: true }))

  test('it counts as the others do', async () => {
    const ours = pathToFileURL(join(compiled, 'bench/ours.js')).href
    const seat = await takeSeat({ contender: 'ours-loop', question, pace: 'back to back', youngGenerationMb: 96, ours })
    await seat.run(2)
    await seat.end()
  })

  test('its views have the reader itself', async () => {
    const { BatchAccess }: typeof import('../../../workers/batch-access.ts') = await import(
      pathToFileURL(join(compiled, 'workers/batch-access.js')).href
    )
    const { BatchReader }: typeof import('../../../workers/batch-reader.ts') = await import(
      pathToFileURL(join(compiled, 'workers/batch-reader.js')).href
    )
    const { KernelMemory }: typeof import('../../../workers/kernel/memory.ts') = await import(
      pathToFileURL(join(compiled, 'workers/kernel/memory.js')).href
    )
    const memory = new KernelMemory()
    const reader = new BatchReader({ memory, firstGroup: memory.start, groupCount: 0, logCount: 0 })
    assert.equal(new BatchAccess(reader, {}), reader)
    assert.equal(new BatchAccess(reader, {}).open(), reader)
  })
})
