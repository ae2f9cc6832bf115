import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { makePayload, type Payload } from '../../../bench/corpus.ts'
import { CONTENDER_IDS, type ContenderId, type Pace } from '../../../bench/decode/contenders.ts'
import { takeOwnProcess, takeSeat } from '../../../bench/decode/seat.ts'

describe('a seat', { timeout: 60_000 }, () => {
  let payload: Payload
  before(() => {
    payload = makePayload('tiny') ?? assert.fail('there is no tiny payload')
  })

  test('every contender gives the right answer, and is measured', async () => {
    for (const contender of CONTENDER_IDS) {
      const seat = await takeSeat({ contender, question: payload, pace: 'back to back', youngGenerationMb: undefined })
      const { cpuMs, wallMs, rssBytes } = await seat.run(3)
      await seat.end()
      assert.ok(cpuMs > 0 && wallMs > 0 && rssBytes > 1e6, contender)
    }
  })

  test('with turns the event loop turns after each response, back to back it does not', async context => {
    const ours = moduleOf(`let turned = true
      export function makeOurs () {
        return { once, digest: () => '1' }
      }
      function once () {
        const answer = turned ? 1 : 0
        turned = false
        setImmediate(() => { turned = true })
        return answer
      }`)
    const take = async (pace: Pace) => {
      const seat = await takeSeat({
        contender: 'ours-index',
        question: payload,
        pace,
        youngGenerationMb: undefined,
        ours
      })
      context.after(() => seat.end())
      return seat.run(3)
    }
    await take('with turns')
    await assert.rejects(take('back to back'), /ours-index changed its answer/)
  })

  test('of snappy on the way only snappy counts, of the others all', async context => {
    for (const contender of CONTENDER_IDS) {
      const seat = await takeSeat({ contender, question: payload, pace: 'back to back', youngGenerationMb: undefined })
      context.after(() => seat.end())
      const { cpuMs, wallMs, run } = await seat.run(4)
      const isPart = contender === 'npm-snappy' || contender === 'kernel-snappy'
      assert.equal(wallMs * 4 < run.wallMs, isPart, contender)
      assert.equal(cpuMs * 4 < run.cpuMs, isPart, contender)
    }
  })

  test('a wrong answer is not measured, whoever gives it', async () => {
    const wrong = { filter: '9', objects: '9', index: '9', loop: '9', snappy: '9' }
    for (const contender of CONTENDER_IDS) {
      const taken = takeSeat({
        contender,
        question: { ...payload, expected: wrong },
        pace: 'back to back',
        youngGenerationMb: undefined
      })
      await assert.rejects(taken, new RegExp(`${contender} answers .* to tiny, not 9`))
    }
  })

  test('an answer that changes is not measured', async context => {
    const ours = moduleOf(`export function makeOurs () { let n = 0; return { once: () => n++, digest: () => '1' } }`)
    const seat = await takeSeat({
      contender: 'ours-index',
      question: payload,
      pace: 'back to back',
      youngGenerationMb: undefined,
      ours
    })
    context.after(() => seat.end())
    await assert.rejects(seat.run(3), /ours-index changed its answer/)
  })

  test('the thread has the young generation that was asked for, or that of Node', async () => {
    for (const [asked, got] of [
      [24, 24],
      [undefined, 48]
    ] as const) {
      const seat = await takeSeat({
        contender: 'ours-objects',
        question: payload,
        pace: 'back to back',
        youngGenerationMb: asked
      })
      await seat.end()
      assert.equal(seat.youngGenerationMb, got)
    }
  })

  test('a body that nobody can read is the error of the thread', async () => {
    const question = { ...payload, bytes: new Uint8Array([1, 2, 3]) }
    const ids: readonly ContenderId[] = ['ours-equals', 'rival-filter', 'npm-snappy', 'kernel-snappy']
    for (const contender of ids)
      await assert.rejects(takeSeat({ contender, question, pace: 'back to back', youngGenerationMb: undefined }))
  })

  test('a thread that ends without a word is told', async () => {
    const ours = moduleOf('process.exit(3)')
    const taken = takeSeat({
      contender: 'ours-index',
      question: payload,
      pace: 'back to back',
      youngGenerationMb: undefined,
      ours
    })
    await assert.rejects(taken, /ours-index ended with the code 3/)
  })

  test('one in a process of its own tells the memory of that process', async () => {
    const large = Buffer.alloc(3e8, 1)
    const seat = await takeOwnProcess({
      contender: 'ours-objects',
      question: payload,
      pace: 'back to back',
      youngGenerationMb: 32
    })
    const { rssBytes } = await seat.run(1)
    await seat.end()
    assert.equal(seat.youngGenerationMb, 32)
    assert.ok(rssBytes > 1e7 && rssBytes < large.length, `${rssBytes} bytes`)
  })

  test('a wrong answer from there is not measured either', async () => {
    const expected = { ...payload.expected, objects: '9' }
    const question = { ...payload, expected }
    const taken = takeOwnProcess({ contender: 'ours-objects', question, pace: 'back to back', youngGenerationMb: 32 })
    await assert.rejects(taken, /ours-objects answers .* to tiny, not 9/)
  })
})

function moduleOf(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`
}
