/**
 * Random log groups, as fields on the wire.
 *
 * In: dice, and how rare odd things are to be. Out: a group as writers write them, and where odd things are wanted, all
 * that protobuf allows or forbids: fields in any order, repeated, missing, unknown, of another wire type, numbers and
 * lengths longer than need be or than may be, lengths that are wrong. Texts are of all kinds at any rate, invalid UTF-8 among them: that is no
 * error. Most logs of a group have the same keys, as in practice.
 */
import type { Dice } from './dice.ts'
import type { BytesField, Field } from './wire.ts'

const GROUP_TEXTS = [2, 3, 4, 6] as const
const LOGS = 1
const TAGS = 5
const TIME = 1
const CONTENTS = 2
const COLLECT_TIME = 3
const KEY = 1
const VALUE = 2

/** More different sequences of keys than a batch remembers. */
const MANY_SHAPES = 100

const KEYS = texts('status', 'a', 'b', 'path', '', '__proto__', 'constructor', '0', '17', 'toString', '键', 'get')
const VALUES = texts('', '500', '中文', '日志消费', '👍🏽 ok', '\u0000', '\ufeffbom', '\ufffd', 'é', '-', '__proto__')
const INVALID = [
  'ff',
  '61ff62',
  'c3',
  'e4b8',
  'f09f',
  'f09f91',
  'c080',
  'eda080',
  'eda080edb080',
  'f4908080',
  '80',
  'efbbbf80'
].map(hex => Buffer.from(hex, 'hex'))

const TIMES = [0n, 1n, -1n, 2n ** 53n + 1n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n)] as const

/** Where a random text of ASCII is cut from. */
const ASCII = Buffer.from(
  Array.from({ length: 8192 }, (_, at) => String.fromCharCode(32 + ((at * 7919 + (at >> 5) * 31) % 95))).join('')
)

export function drawGroup(dice: Dice, oddOneIn: number): Field[] {
  const shapeCount = dice.oneIn(5000) ? MANY_SHAPES : dice.oneIn(4) ? 3 : 1
  const shapes = dice.list(shapeCount, () => drawKeys(dice))
  const logCount = shapeCount === MANY_SHAPES ? 2 * MANY_SHAPES : drawCount(dice)
  const logs = dice.list(logCount, () => nested(LOGS, drawLog(dice, shapes[dice.below(shapeCount)] ?? [], oddOneIn)))
  const about = GROUP_TEXTS.filter(() => dice.oneIn(3)).map(number => text(number, drawText(dice)))
  const tags = dice.list(dice.oneIn(3) ? 1 + dice.below(3) : 0, () =>
    nested(TAGS, drawPair(dice, drawKey(dice), oddOneIn))
  )
  return makeOdd(dice, [...logs, ...about, ...tags], oddOneIn)
}

function drawCount(dice: Dice): number {
  if (dice.oneIn(4000)) return 150
  return dice.oneIn(600) ? 20 : dice.pick([0, 1, 1, 1, 2, 3])
}

function drawKeys(dice: Dice): Buffer[] {
  return dice.list(dice.pick([0, 1, 2, 3, 3, 5]), () => drawKey(dice))
}

function drawKey(dice: Dice): Buffer {
  if (dice.oneIn(20)) return drawText(dice)
  return KEYS[dice.below(KEYS.length)] ?? Buffer.alloc(0)
}

function drawLog(dice: Dice, keys: readonly Buffer[], oddOneIn: number): Field[] {
  const fields: Field[] = [{ wire: 'varint', number: TIME, value: drawTime(dice) }]
  for (const key of keys) fields.push(nested(CONTENTS, drawPair(dice, key, oddOneIn)))
  if (dice.oneIn(6)) fields.push({ wire: 'varint', number: COLLECT_TIME, value: drawTime(dice) })
  return makeOdd(dice, fields, oddOneIn)
}

function drawPair(dice: Dice, key: Buffer, oddOneIn: number): Field[] {
  return makeOdd(dice, [text(KEY, key), text(VALUE, drawText(dice))], oddOneIn * 2)
}

function drawTime(dice: Dice): bigint {
  const seconds = 1_700_000_000n + BigInt(dice.below(2 ** 31))
  switch (dice.below(8)) {
    case 0:
      return seconds
    case 1:
      return seconds * 1000n
    case 2:
      return seconds * 1_000_000n
    case 3:
      return seconds * 1_000_000_000n + 999_999n
    case 4:
      return seconds * -1_000_001n
    case 5:
      return dice.pick(TIMES)
    default:
      return dice.int64() >> BigInt(dice.oneIn(2) ? 0 : dice.below(63))
  }
}

function drawText(dice: Dice): Buffer {
  const kind = dice.below(40)
  if (kind < 6) return VALUES[dice.below(VALUES.length)] ?? Buffer.alloc(0)
  if (kind < 8) return Buffer.concat([ascii(dice, 12), VALUES[dice.below(VALUES.length)] ?? ASCII, ascii(dice, 12)])
  if (kind < 10) return INVALID[dice.below(INVALID.length)] ?? Buffer.alloc(0)
  // Their lengths take two bytes, and three.
  if (kind === 10) return ascii(dice, 300)
  if (kind === 11 && dice.oneIn(1000)) return Buffer.alloc(17_000, ASCII.subarray(dice.below(1000)))
  return ascii(dice, 16)
}

function ascii(dice: Dice, lengthMax: number): Buffer {
  const start = dice.below(ASCII.length - lengthMax)
  return ASCII.subarray(start, start + dice.below(lengthMax + 1))
}

/** One time in so many, one or two changes to the fields of a message. */
function makeOdd(dice: Dice, fields: readonly Field[], oneIn: number): Field[] {
  let changed = [...fields]
  while (dice.oneIn(oneIn)) changed = change(dice, changed)
  return changed
}

function change(dice: Dice, fields: readonly Field[]): Field[] {
  const at = dice.below(fields.length + 1)
  const field = fields[at]
  const kind = dice.below(8)
  if (field === undefined || kind < 2) return fields.toSpliced(at, 0, drawUnknown(dice, 0))
  switch (kind) {
    case 2:
      return dice.shuffled(fields)
    case 3:
      return fields.toSpliced(at, 1)
    case 4:
      return fields.toSpliced(dice.below(fields.length + 1), 0, field)
    case 5:
      // Another value behind the first: the last counts where there may be one only.
      return [...fields, field.wire === 'bytes' ? { ...field, content: drawText(dice) } : drawUnknown(dice, 0)]
    case 6:
      return fields.with(at, { ...field, tagBytes: 1 + dice.below(6) })
    default:
      return fields.with(at, stretched(dice, field))
  }
}

/** Ten bytes are the most that a number may have, five the most for a length, which may be wrong as well. */
function stretched(dice: Dice, field: Field): Field {
  if (field.wire === 'varint') return { ...field, valueBytes: dice.pick([2, 5, 9, 10, 10, 11]) }
  if (field.wire === 'bytes' && dice.oneIn(2)) return { ...field, lengthOff: dice.pick([-1, 1, 1, 2, 3, 20]) }
  if (field.wire === 'bytes') return { ...field, lengthBytes: dice.pick([2, 3, 4, 5, 6]) }
  return field
}

/** Of any number, the known ones among them: then it often is of another wire type than it should be. */
function drawUnknown(dice: Dice, depth: number): Field {
  const number = dice.oneIn(8) ? dice.pick([0, 15, 16, 2047, 2 ** 29 - 1]) : 1 + dice.below(9)
  switch (dice.below(depth > 4 ? 4 : 5)) {
    case 0:
      return { wire: 'varint', number, value: dice.int64(), valueBytes: 1 + dice.below(12) }
    case 1:
      return { wire: 'fixed64', number, bytes: dice.bytes(8) }
    case 2:
      return { wire: 'fixed32', number, bytes: dice.bytes(4) }
    case 3:
      return text(number, drawText(dice))
    default:
      return { wire: 'group', number, fields: dice.list(dice.below(3), () => drawUnknown(dice, depth + 1)) }
  }
}

function text(number: number, content: Buffer): BytesField {
  return { wire: 'bytes', number, content }
}

function nested(number: number, content: readonly Field[]): BytesField {
  return { wire: 'bytes', number, content }
}

function texts(...all: string[]): Buffer[] {
  return all.map(each => Buffer.from(each))
}
