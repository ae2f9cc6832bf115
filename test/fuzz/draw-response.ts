/**
 * Random responses, as plans.
 *
 * In: dice, and how rare odd things are to be: never, of `Infinity`. Out: a response as the service might write it, in
 * any key order, with any white space and any other keys; where odd things are wanted, also what only the full parser
 * reads, what poisons a message, and what no pull response is. Most are small; one in hundreds is large.
 */
import type { Dice } from './dice.ts'
import { drawGroup } from './draw-group.ts'
import type { Base64Flaw, Escaping, Member, MessagePlan, ResponsePlan } from './response-plan.ts'
import type { Field } from './wire.ts'

/** More than the scan's table first has room for. */
const COUNT_MAX = 1100
const INT64_MAX = 2n ** 63n - 1n

export function drawResponse(dice: Dice, oddOneIn: number): ResponsePlan {
  const startOffset = dice.oneIn(8) ? dice.pick([0n, 2n ** 53n - 2n, 2n ** 62n + 3n]) : BigInt(dice.below(10_000))
  const count = drawCount(dice)
  const messages = drawMessages(dice, count, oddOneIn)
  const next = startOffset + BigInt(dice.oneIn(4) ? count + dice.below(100) : count)
  const isBounded = dice.oneIn(8)
  const own: Member[] = [
    { key: '"NextOffset"', value: drawNext(dice, next, oddOneIn) },
    { key: '"Message"', value: messages },
    { key: '"RequestId"', value: '"5a0f3c1e"' }
  ]
  const members = [...own, ...drawOthers(dice), ...drawOddMembers(dice, oddOneIn)]
  return {
    compression: dice.pick(['snappy', 'snappy', 'lz4', 'none']),
    startOffset,
    endOffset: isBounded ? startOffset + BigInt(dice.below(count + 3)) : undefined,
    gap: dice.oneIn(3) ? dice.pick([' ', '\n', '\r\n\t', '  ']) : '',
    before: drawOthers(dice),
    members: dice.oneIn(3) ? dice.shuffled(members) : members,
    behind: dice.oneIn(oddOneIn) ? [drawOddOutside(dice)] : drawOthers(dice),
    rest: dice.oneIn(oddOneIn * 4) ? dice.pick(['x', '\0', '{}', '\xef\xbb\xbf', '\xa0']) : ''
  }
}

function drawCount(dice: Dice): number {
  if (dice.oneIn(5000)) return COUNT_MAX
  return dice.oneIn(1000) ? 40 : dice.below(5)
}

function drawMessages(dice: Dice, count: number, oddOneIn: number): (MessagePlan | string)[] {
  const messages: (MessagePlan | string)[] = []
  while (messages.length < count) {
    const last = messages.at(-1)
    // One that was there before: compressors copy it, where base64 gives them little else to copy.
    if (typeof last === 'object' && dice.oneIn(4)) messages.push({ ...last })
    else if (dice.oneIn(oddOneIn * 2)) messages.push(drawNoMessage(dice))
    else {
      const fields = dice.oneIn(12) || count === COUNT_MAX ? [] : drawGroup(dice, oddOneIn)
      messages.push(drawMessage(dice, fields, oddOneIn))
    }
  }
  return messages
}

function drawMessage(dice: Dice, fields: readonly Field[], oddOneIn: number): MessagePlan {
  const right: MessagePlan = {
    version: 130,
    timestamp: dice.int64(),
    declaredBytes: undefined,
    fields,
    tail: dice.oneIn(8) ? dice.bytes(dice.below(10)) : Buffer.alloc(0),
    cutAt: undefined,
    flaw: 'none',
    escaping: dice.oneIn(3) ? dice.pick<Escaping>(['slashes', 'some', 'all']) : 'none'
  }
  if (!dice.oneIn(oddOneIn)) return right
  switch (dice.below(4)) {
    case 0:
      return { ...right, version: dice.pick([0, 129, 131, -130, 130 << 8, 130 << 24]) }
    case 1:
      return { ...right, declaredBytes: dice.pick([-1, 0, 1, 40, 2 ** 31 - 1, -(2 ** 31)]) }
    case 2:
      return { ...right, cutAt: dice.pick([0, 1, 3, 92, 95, 96, 97, 130]) }
    default:
      return { ...right, flaw: dice.pick(FLAWS) }
  }
}

const FLAWS = [
  'unpadded',
  'overpadded',
  'padded inside',
  'space',
  'url',
  'stranger',
  'wide',
  'spare bits',
  'short'
] as const satisfies readonly Base64Flaw[]

/** What may stand in a list of messages without being one: some of it is not even a text. */
function drawNoMessage(dice: Dice): string {
  return dice.pick([
    '""',
    '"===="',
    '"Y"',
    '"\\n"',
    '"\\u4e2d\\u6587"',
    '"\\ud800AAA"',
    '"\\u0141AAA"',
    '"\xc3\xa4AA"',
    '"\\"]}"',
    '7',
    '-1.5e3',
    '1e999',
    'null',
    'true',
    '{"a":[]}',
    '[9007199254740993]',
    '["YQ=="]'
  ])
}

/** JSON: the offset itself, or where odd, whatever a service might take for one. */
function drawNext(dice: Dice, next: bigint, oddOneIn: number): string {
  if (!dice.oneIn(oddOneIn)) return `${next}`
  return dice.pick([
    `"${next}"`,
    `${next}.0`,
    `${next}e0`,
    `${next - 1n}`,
    `-${next}`,
    `"${INT64_MAX}"`,
    `${INT64_MAX}`,
    `${INT64_MAX + 1n}`,
    `${-INT64_MAX - 1n}`,
    `${-INT64_MAX - 2n}`,
    '9007199254740993',
    '"9007199254740993"',
    '18446744073709551617',
    '"00000000000000000012"',
    '"0000000000000000012"',
    '1e3',
    '1e999',
    '0',
    '-0',
    '-1',
    '"-1"',
    'null',
    'true',
    '""',
    '[7]',
    '{}'
  ])
}

/** Members that say nothing, some of them with what looks like the ones that count. */
function drawOthers(dice: Dice): Member[] {
  if (!dice.oneIn(4)) return []
  const key = dice.pick([
    '"A"',
    '""',
    '"Messages"',
    '"message"',
    '"NextOffse"',
    '"NextOffset2"',
    '"Respons"',
    '"\xe4\xb8\xad"',
    '"__proto__"'
  ])
  const value = dice.pick([
    '{"Response":{"Message":["bm8="],"NextOffset":1}}',
    '["Message",{"Error":{"Code":"no"}}]',
    '"\\"Message\\":[\\"bm8=\\"]"',
    '{"Message":["bm8="],"NextOffset":1,"Error":{"Code":"no"}}',
    '-1.5e+10',
    '123456789012345678901234567890',
    '"\xe6\x97\xa5\xe5\xbf\x97\\u65e5"',
    'true',
    'false',
    'null',
    '[[],{},[{}]]'
  ])
  return [{ key, value }]
}

/** More than one of the members that count, errors, escaped keys, limits of the full parser. */
function drawOddMembers(dice: Dice, oddOneIn: number): Member[] {
  if (!dice.oneIn(oddOneIn)) return []
  if (dice.oneIn(2)) return [drawError(dice)]
  const [key, value] = dice.pick<readonly [string, Member['value']]>([
    ['"Message"', 'null'],
    ['"Message"', '[]'],
    ['"Message"', '{}'],
    ['"Message"', '"YQ=="'],
    ['"Message"', [drawMessage(dice, [], oddOneIn)]],
    ['"Messag\\u0065"', [drawMessage(dice, [], oddOneIn)]],
    ['"NextOffset"', drawNext(dice, 20_000n, 2)],
    ['"NextOffse\\u0074"', '20000'],
    ['"Error"', 'null'],
    ['"A"', `${'['.repeat(150)}${']'.repeat(150)}`],
    ['"A"', `${'['.repeat(300)}${']'.repeat(300)}`],
    ['"A"', '1'.repeat(500)],
    ['"A"', '1'.repeat(2000)],
    ['"A"', '"\\x"'],
    ['"A"', '"\x01"'],
    ['"A"', '01'],
    ['"A"', '']
  ])
  return [{ key, value }]
}

/** As documented, and otherwise. */
function drawError(dice: Dice): Member {
  const key = dice.oneIn(4) ? '"\\u0045rror"' : '"Error"'
  const value = dice.pick([
    '{"Code":"InvalidParameter.InvalidOffset","Message":"offset \xe8\xbf\x87\xe6\x9c\x9f \\u8fc7"}',
    '{"Message":"try again","Code":"InternalError"}',
    '{"Code":"Limit\xff","Message":7}',
    '{"Code":""}',
    '{"Code":5}',
    '{}',
    '"broken"',
    'false'
  ])
  return { key, value }
}

/** Beside the Response. */
function drawOddOutside(dice: Dice): Member {
  const [key, value] = dice.pick<readonly [string, string]>([
    ['"Response"', '{"NextOffset":20000,"Message":[]}'],
    ['"Response"', '{}'],
    ['"Response"', 'null'],
    ['"Response"', '[]'],
    ['"Respons\\u0065"', '{"NextOffset":20000}'],
    ['"errorcode"', '"InternalError"'],
    ['"Error"', '{"Code":"InternalError"}']
  ])
  return { key, value }
}
