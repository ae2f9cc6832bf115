import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Dice } from '../fuzz/dice.ts'
import { Course, Place } from './course.ts'

const BOUNDED = { timeout: 20_000 }
const SEEDS = 60

/** What happens, in order, for each of many seeds. */
async function orders(plan: (course: Course, say: (what: string) => () => void) => void): Promise<Set<string>> {
  const seen = new Set<string>()
  for (let seed = 0; seed < SEEDS; seed++) {
    const course = new Course(new Dice(seed), () => undefined)
    const said: string[] = []
    plan(course, what => () => void said.push(what))
    while (await course.step()) {}
    seen.add(said.join(' '))
  }
  return seen
}

describe('virtual time', () => {
  test('what is due at once comes in every order, and nothing before it is due', BOUNDED, async () => {
    const seen = await orders((course, say) => {
      const where = new Place('p')
      for (const what of ['a', 'b']) course.set({ where, what, delayMs: 5, happen: say(what) })
      course.set({ where, what: 'later', delayMs: 6, happen: say('later') })
    })
    assert.deepEqual([...seen].sort(), ['a b later', 'b a later'])
  })

  test('messages of one queue keep their order, those of two do not', BOUNDED, async () => {
    const seen = await orders((course, say) => {
      const where = new Place('p')
      const queue = {}
      for (const what of ['1', '2']) course.set({ where, what, delayMs: 0, queue, happen: say(what) })
      course.set({ where, what: 'x', delayMs: 0, queue: {}, happen: say('x') })
    })
    assert.deepEqual([...seen].sort(), ['1 2 x', '1 x 2', 'x 1 2'])
  })

  test(
    'overdue timers of a process fire as they were due; of those due at once, equal ones as they were set',
    BOUNDED,
    async () => {
      const seen = await orders((course, say) => {
        const where = new Place('p')
        const timer = (what: string, delayMs: number): unknown =>
          course.set({ where, what, delayMs, isTimer: true, happen: say(what) })
        timer('second', 20)
        timer('first', 10)
        timer('third', 30)
        where.stop()
        course.set({ where: new Place('outside'), what: 'wake', delayMs: 100, happen: () => where.wake() })
      })
      assert.deepEqual([...seen], ['first second third'])
      const equal = await orders((course, say) => {
        const where = new Place('p')
        for (const what of ['1', '2']) course.set({ where, what, delayMs: 7, isTimer: true, happen: say(what) })
      })
      assert.deepEqual([...equal], ['1 2'])
    }
  )

  test('at a stopped place nothing happens until it is woken, at one that is gone never', BOUNDED, async () => {
    const seen = await orders((course, say) => {
      const [process, other] = [new Place('p'), new Place('o')]
      const thread = new Place('p/1', process)
      course.set({ where: thread, what: 'work', delayMs: 1, happen: say('work') })
      process.stop()
      course.set({ where: other, what: 'o', delayMs: 50, happen: say('o') })
      course.set({ where: other, what: 'wake', delayMs: 60, happen: () => process.wake() })
      const dead = new Place('dead')
      course.set({ where: dead, what: 'dead', delayMs: 0, happen: say('dead') })
      dead.end()
    })
    assert.deepEqual([...seen], ['o work'])
  })

  test('everything that a thing sets going runs to rest before the next', BOUNDED, async () => {
    const seen = await orders((course, say) => {
      const where = new Place('p')
      const deep = async (): Promise<void> => {
        for (let turn = 0; turn < 20; turn++) await Promise.resolve()
        say('rest')()
      }
      course.set({ where, what: 'a', delayMs: 0, queue: where, happen: () => void deep() })
      course.set({ where, what: 'b', delayMs: 0, queue: where, happen: say('b') })
    })
    assert.deepEqual([...seen], ['rest b'])
  })

  test('what is cancelled does not happen, and is not counted', BOUNDED, async () => {
    const course = new Course(new Dice(1), () => undefined)
    const where = new Place('p')
    const happen = () => assert.fail('it was cancelled')
    const timer = course.set({ where, what: 'timer', delayMs: 1, isTimer: true, happen })
    assert.equal(course.timersOf(where).length, 1)
    timer.cancel()
    assert.equal(course.timersOf(where).length, 0)
    assert.equal(await course.step(), false)
  })
})
