/**
 * Random responses for fast-check.
 *
 * fast-check counts the runs, repeats them by seed and path, and makes a failing response smaller. What it draws of a
 * response is a single number: our own dice go on from there, since arbitraries down to the single byte take many times
 * as long as the decoders that they test. Smaller is a response with fewer members, messages, fields or bytes: plans are
 * plain lists, and every plan can be printed.
 */
import fc from 'fast-check'
import { Dice } from './dice.ts'
import { drawResponse } from './draw-response.ts'
import type { ResponsePlan } from './response-plan.ts'

class ResponseArbitrary extends fc.Arbitrary<ResponsePlan> {
  readonly #oddOneIn: number

  constructor(oddOneIn: number) {
    super()
    this.#oddOneIn = oddOneIn
  }

  generate(random: fc.Random): fc.Value<ResponsePlan> {
    return new fc.Value(drawResponse(new Dice(random.nextInt(0, 2 ** 32 - 1)), this.#oddOneIn), undefined)
  }

  canShrinkWithoutContext(value: unknown): value is ResponsePlan {
    return typeof value === 'object' && value !== null && 'members' in value
  }

  shrink(plan: ResponsePlan): fc.Stream<fc.Value<ResponsePlan>> {
    // Of the same form, for it only has less in its lists.
    return fc.stream(smaller(plan)).map(less => new fc.Value(less as ResponsePlan, undefined))
  }
}

/** `oddOneIn`: each odd thing comes up about once in so many times. */
export function responses(oddOneIn: number): fc.Arbitrary<ResponsePlan> {
  return new ResponseArbitrary(oddOneIn)
}

/** The largest steps first. */
function* smaller(value: unknown): Generator<unknown, void, undefined> {
  if (Buffer.isBuffer(value)) yield* smallerBytes(value)
  else if (Array.isArray(value)) yield* smallerList(value)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      for (const less of smaller(member)) yield { ...value, [key]: less }
    }
  }
}

function* smallerBytes(bytes: Buffer): Generator<Buffer, void, undefined> {
  for (const length of new Set([0, bytes.length >> 1, bytes.length - 1])) {
    if (length >= 0 && length < bytes.length) yield bytes.subarray(0, length)
  }
}

function* smallerList(list: readonly unknown[]): Generator<unknown[], void, undefined> {
  for (let cut = list.length; cut >= 1; cut >>= 1) {
    for (let at = 0; at < list.length; at += cut) yield list.toSpliced(at, cut)
  }
  for (const [index, item] of list.entries()) {
    for (const less of smaller(item)) yield list.with(index, less)
  }
}
