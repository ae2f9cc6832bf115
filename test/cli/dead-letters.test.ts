/** `dead-letters list` and `show`, in process and as a command. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { listDeadLetters, showDeadLetters } from '../../src/cli/dead-letters.ts'
import { cellCount } from '../../src/cli/format.ts'
import { compress } from '../../src/cls/compression.ts'
import { encodeLogGroup, encodeMessage } from '../../src/cls/log-group.ts'
import { DeadLetterWriter } from '../../src/failure/dead-letter-writer.ts'
import { realFiles } from '../../src/real-world.ts'
import { captureWorld, startCli } from './command.ts'

const BOUNDED = { timeout: 30_000 }
const SECOND_MS = 1000
const WRITTEN_MS = Date.UTC(2026, 10, 23, 18, 40, 24)
const START = 2n ** 60n

const GROUP = encodeLogGroup({
  logs: [
    { time: 1_700_000_000_123n, contents: [{ key: 'level', value: 'ERROR' }] },
    {
      time: 2n ** 62n,
      contents: [
        { key: 'k', value: 'one\n\x1b[31m' },
        { key: 'k', value: 'two' }
      ]
    }
  ],
  logTags: [{ key: 'zone', value: 'a' }],
  source: '10.0.0.1'
})
const MESSAGE = encodeMessage({ timestamp: 1n, accountUin: 2n, logsetId: 'l', topicId: 't' }, GROUP)
const ODD_BYTES = Buffer.from('00ff0a0d7b22', 'hex')

let folder = ''
let nowMs = WRITTEN_MS

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cls-consumer-dead-'))
  await writeLetters(join(folder, 'dead-letters'))
})

after(() => rmSync(folder, { recursive: true }))

async function writeLetters(directory: string): Promise<void> {
  const writer = new DeadLetterWriter(
    { directory, group: 'g', consumer: 'c', deadLetterFileBytesMax: 1e6 },
    { files: realFiles, clock: { now: () => nowMs }, random: { hex: () => 'cafecafe' } }
  )
  const place = { topicId: 'topic-a', partition: 3, startOffset: START, nextOffset: START + 9n, attempt: 5 }
  const error = { code: 'PROCESSOR_FAILED', message: 'no\nsink', stack: 'Error: no\n    at sink (p.mjs:3:1)' } as const
  const text = Buffer.from(JSON.stringify(MESSAGE.toString('base64')))
  const cutText = Buffer.from(JSON.stringify(MESSAGE.subarray(0, 100).toString('base64')))
  await writer.append([
    { ...place, kind: 'message', messageIndex: 7, reason: 'failed', error, raw: text },
    { ...place, kind: 'message', messageIndex: 8, reason: 'cut', error: undefined, raw: cutText }
  ])
  nowMs += 10 * SECOND_MS
  await writer.append([
    { ...place, kind: 'message', messageIndex: 7, reason: 'failed again', error: undefined, raw: text },
    { ...place, kind: 'log', messageIndex: 7, logIndex: 1, reason: 'too old', error: undefined, raw: GROUP },
    { ...place, kind: 'message', messageIndex: 9, reason: 'a number', error: undefined, raw: Buffer.from('12') },
    { ...place, kind: 'message', messageIndex: 10, reason: 'a dash', error: undefined, raw: Buffer.from('"QUJ-"') }
  ])
  const elsewhere = { ...place, topicId: 'topic-b', partition: 0, nextOffset: undefined, error: undefined }
  const body = compress(Buffer.from('{"Response":[]}'), 'snappy')
  await writer.append([
    { ...elsewhere, kind: 'body', compression: 'snappy', reason: 'no messages', raw: body },
    { ...elsewhere, kind: 'body', startOffset: 5n, compression: 'lz4', reason: 'no lz4', raw: ODD_BYTES },
    { ...elsewhere, kind: 'group', startOffset: 6n, messageIndex: 0, reason: 'skipped\x1b[2J', raw: GROUP }
  ])
  await writer.close()
}

async function list(args: Readonly<Record<string, unknown>> = {}) {
  const world = captureWorld({ cwd: folder })
  await listDeadLetters(args, world, realFiles)
  return { out: world.out(), err: world.err() }
}

async function show(args: Readonly<Record<string, unknown>> = {}) {
  const world = captureWorld({ cwd: folder })
  await showDeadLetters(args, world, realFiles)
  return { out: world.out(), err: world.err(), letters: world.out().split('\n\ndead letter ') }
}

const ids = (out: string): string[] => out.split('\n').flatMap(line => /topic-[ab]\/\S*/.exec(line) ?? [])

test('list has one line for each letter, with all that tells what it is and where', BOUNDED, async () => {
  const { out, err } = await list()
  const [heading = '', ...lines] = out.trimEnd().split('\n')
  assert.match(heading, /^written +kind +topic\/partition\/offset\[\/message\[\/log\]\] +reason +file:line$/)
  const file = '20261123T184024Z-c-cafecafe.dead.ndjson'
  assert.deepEqual(lines.slice(0, 4), [
    `2026-11-23T18:40:24.000Z  message  topic-a/3/${START}/7  failed  ${file}:1`,
    `2026-11-23T18:40:24.000Z  message  topic-a/3/${START}/8  cut  ${file}:2`,
    `2026-11-23T18:40:34.000Z  message  topic-a/3/${START}/7  failed again  (repeated)  ${file}:3`,
    `2026-11-23T18:40:34.000Z  log      topic-a/3/${START}/7/1  too old  ${file}:4`
  ])
  assert.equal(lines.length, 9)
  assert.match(lines[8] ?? '', /skipped\\u001b\[2J {2}\S+$/, 'nothing commands the terminal')
  assert.equal(err, `9 dead letters, 1 of them repeated in ${join(folder, 'dead-letters')}\n`)
})

test('list --json is one line of JSON for each, with exact offsets and without the bytes', BOUNDED, async () => {
  const { out } = await list({ json: true })
  const records = out
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  assert.equal(records.length, 9)
  const [first, , repeat] = records
  assert.deepEqual(first, {
    id: `topic-a/3/${START}/7`,
    kind: 'message',
    messageIndex: 7,
    topicId: 'topic-a',
    partition: 3,
    startOffset: String(START),
    nextOffset: String(START + 9n),
    attempt: 5,
    reason: 'failed',
    error: { code: 'PROCESSOR_FAILED', message: 'no\nsink', stack: 'Error: no\n    at sink (p.mjs:3:1)' },
    group: 'g',
    consumer: 'c',
    rawBytes: MESSAGE.toString('base64').length + 2,
    time: '2026-11-23T18:40:24.000Z',
    isRepeat: false,
    file: '20261123T184024Z-c-cafecafe.dead.ndjson',
    line: 1,
    bytePosition: 0,
    byteCount: first.byteCount
  })
  assert.deepEqual([repeat.id, repeat.isRepeat], [first.id, true])
  assert.ok(!('nextOffset' in records[6]))
})

test('topic, partition and time narrow it down', BOUNDED, async () => {
  const countOf = async (args: Readonly<Record<string, unknown>>) => ids((await list(args)).out).length
  assert.equal(await countOf({ topic: ['topic-a'] }), 6)
  assert.equal(await countOf({ topic: ['topic-a', 'topic-b'] }), 9)
  assert.equal(await countOf({ topic: ['topic'] }), 0)
  assert.equal(await countOf({ partition: '0' }), 3)
  assert.equal(await countOf({ topic: ['topic-b'], partition: '3' }), 0)
  assert.equal(await countOf({ since: '2026-11-23T18:40:34Z' }), 7)
  assert.equal(await countOf({ since: String(WRITTEN_MS / 1000 + 11) }), 0)
  const { out, err } = await list({ topic: ['topic'] })
  assert.deepEqual([out, err.startsWith('no such dead letters in ')], ['', true])
})

test('show tells all of a letter, and its logs to the digit, with repeated keys', BOUNDED, async () => {
  const { letters } = await show()
  assert.equal(letters.length, 9)
  const [message = '', , , log = ''] = letters
  for (const part of [
    `dead letter topic-a/3/${START}/7`,
    `\n  offset       ${START}, the next one ${START + 9n}\n`,
    '\n  reason       failed\n',
    '\n  error        PROCESSOR_FAILED: no\\nsink\n      at sink (p.mjs:3:1)\n',
    '\n  file         20261123T184024Z-c-cafecafe.dead.ndjson:1, byte 0\n',
    '\n  2 logs\n    source 10.0.0.1\n    tags {"zone":"a"}\n',
    '\n    1700000000123  {"level":"ERROR"}\n',
    '\n    4611686018427387904  {"k":"one\\n\\u001b[31m","k":"two"}'
  ]) {
    assert.ok(message.includes(part), `${JSON.stringify(part)} in\n${message}`)
  }
  assert.match(log, /\n {2}log +1\n[\s\S]*\n {2}2 logs\n/)
})

test('show tells why bytes do not decode, and what the first of them are', BOUNDED, async () => {
  const { letters } = await show()
  const [, cut, , , number, dash, body, lz4, group] = letters
  assert.match(
    cut ?? '',
    /not decoded: a message declares a payload of \d+ bytes, but 4 follow, at byte 92\n +0 {2}00 00 00 82 /
  )
  assert.match(number ?? '', /not decoded: it is no text of JSON\n +0 {2}31 32 +12/)
  assert.match(dash ?? '', /not decoded: its text is not base64\n/)
  assert.match(body ?? '', /compression +snappy\n[\s\S]*\n {2}decompressed to 15 bytes:\n {2}\{"Response":\[\]\}/)
  assert.match(lz4 ?? '', /not decoded: a body of 6 bytes is not a lz4 block: .*\n +0 {2}00 ff 0a 0d 7b 22 +\.{4}\{"/)
  assert.match(group ?? '', /\n {2}2 logs\n/)
})

test('show takes ids, or their first parts', BOUNDED, async () => {
  const idsOf = async (...id: readonly string[]) => ids((await show({ id })).out).length
  assert.equal(await idsOf(`topic-a/3/${START}/8`), 1)
  assert.equal(await idsOf(`topic-a/3/${START}/7`), 3, 'and the log in it')
  assert.equal(await idsOf(`topic-a/3/${START}/7/1`, 'topic-b'), 4)
  await assert.rejects(show({ id: ['topic-b', 'topic-a/3/115'] }), {
    code: 'USAGE',
    message: /no dead letter has the id topic-a\/3\/115 /
  })
})

async function raw(args: Readonly<Record<string, unknown>>, directory = 'dead-letters'): Promise<Buffer> {
  const parts: Uint8Array[] = []
  const stdout = {
    write: (bytes: string | Uint8Array, done?: () => void) => {
      parts.push(Buffer.from(bytes))
      done?.()
    }
  }
  await showDeadLetters({ dir: directory, raw: true, ...args }, captureWorld({ cwd: folder, stdout }), realFiles)
  return Buffer.concat(parts)
}

test('show --raw writes the exact bytes of one letter, and refuses several', BOUNDED, async () => {
  assert.deepEqual(await raw({ id: ['topic-b/0/5'] }), ODD_BYTES)
  // A repeat is the same letter, and the log in the message another one.
  assert.equal(String(await raw({ id: [`topic-a/3/${START}/7`] })), JSON.stringify(MESSAGE.toString('base64')))
  await assert.rejects(raw({ topic: ['topic-b'] }), {
    code: 'USAGE',
    message: `--raw takes one letter, and 3 are meant: topic-b/0/${START}, topic-b/0/5, topic-b/0/6/0`
  })
  await assert.rejects(raw({}), { message: /and 8 are meant: .*, …$/ })
  await assert.rejects(raw({ id: ['topic-b/0'] }), {
    code: 'USAGE',
    message: /^--raw takes one letter, and 3 are meant: topic-b/
  })
})

test('show --raw takes the first parts of an id where they are about one letter', BOUNDED, async () => {
  assert.deepEqual(await raw({ id: ['topic-b/0/6'] }), GROUP)
  await assert.rejects(raw({ id: ['topic-b/0/7'] }), {
    code: 'USAGE',
    message: /no dead letter has the id topic-b\/0\/7 /
  })
  await assert.rejects(raw({ id: ['topic-b/0/5', 'topic-b/0/6'] }), { code: 'USAGE', message: /: name one id$/ })
})

describe('on a terminal', () => {
  const TOPIC = '9f0c1d2e-1111-2222-3333-444444c0ffee'
  const SHORT = `9f0c1d2e…c0ffee/49/${START}/7`
  const REASON = 'the sink is gone '.repeat(20)
  let directory = ''

  before(async () => {
    directory = join(folder, 'long')
    const writer = new DeadLetterWriter(
      { directory, group: 'g', consumer: 'c', deadLetterFileBytesMax: 1e6 },
      { files: realFiles, clock: { now: () => WRITTEN_MS }, random: { hex: () => 'cafecafe' } }
    )
    const place = { topicId: TOPIC, partition: 49, startOffset: START, nextOffset: undefined, attempt: 5 }
    const letter = { ...place, kind: 'message', error: undefined, raw: Buffer.from('""') } as const
    await writer.append([
      { ...letter, messageIndex: 7, reason: REASON },
      { ...letter, messageIndex: 8, reason: '日'.repeat(200) }
    ])
    await writer.close()
  })

  /** Of both streams, as they come. */
  async function linesOn(terminal: { readonly isTTY: boolean; readonly columns: number }): Promise<string[]> {
    const parts: string[] = []
    const write = (text: string | Uint8Array, done?: () => void) => {
      parts.push(String(text))
      done?.()
    }
    const world = captureWorld({ cwd: folder, stdout: { ...terminal, write }, stderr: { write } })
    await listDeadLetters({ dir: directory }, world, realFiles)
    return parts.join('').trimEnd().split('\n')
  }

  for (const [columns, time] of [
    [80, '11-23 18:40'],
    [120, '2026-11-23T18:40:24Z']
  ] as const) {
    test(`of ${columns} columns no line of the list wraps, and each has its id and its reason`, BOUNDED, async () => {
      const [heading = '', ...lines] = await linesOn({ isTTY: true, columns })
      assert.match(lines.pop() ?? '', /^2 dead letters in /, 'what sums up comes last')
      for (const line of [heading, ...lines]) assert.ok(cellCount(line) < columns, line)
      assert.ok(lines[0]?.startsWith(`${time}  message  ${SHORT}  the sink is`), lines[0])
      assert.match(heading, /^written +kind +topic\/partition\/offset\/… +reason/)
      assert.deepEqual(
        lines.map(line => line.endsWith('…')),
        [true, true]
      )
    })
  }

  test('an id is taken as short as it is listed there', BOUNDED, async () => {
    assert.equal(String(await raw({ id: [SHORT] }, directory)), '""')
    assert.equal((await show({ dir: directory, id: [SHORT] })).letters.length, 1)
    await assert.rejects(raw({ id: [SHORT.replace('ffee', 'fffe')] }, directory), { code: 'USAGE' })
  })

  test('what goes to a pipe or a file is whole, whatever the width', BOUNDED, async () => {
    const lines = await linesOn({ isTTY: false, columns: 80 })
    const whole = `  ${TOPIC}/49/${START}/7  ${REASON}  2026`
    assert.ok(lines.some(line => line.includes(whole)))
  })
})

/** The same letters, with a bit of the second changed and half a record behind the last. */
function damagedCopy(): string {
  const directory = mkdtempSync(join(folder, 'damaged-'))
  const [name = ''] = readdirSync(join(folder, 'dead-letters'))
  const bytes = readFileSync(join(folder, 'dead-letters', name))
  const second = bytes.indexOf('"reason":"cut"')
  bytes[second + 10] = 0x43
  writeFileSync(join(directory, name), bytes)
  appendFileSync(join(directory, name), '{"deadLetter":1,"kind":"mess')
  return directory
}

test('damage is told where it is, all else is shown, and the command fails', BOUNDED, async () => {
  const dir = damagedCopy()
  const world = captureWorld({ cwd: folder })
  await assert.rejects(listDeadLetters({ dir, topic: ['topic-b'] }, world, realFiles), {
    code: 'DEAD_LETTERS_DAMAGED',
    remedy: 'stop',
    message: /^2 damaged places in 1 file, named above/
  })
  assert.equal(ids(world.out()).length, 3)
  const [first, second] = world.err().split('\n')
  assert.match(first ?? '', /^damaged: \S+\.dead\.ndjson:2: \d+ bytes from byte \d+ on: its checksum does not match/)
  assert.match(second ?? '', /^damaged: \S+\.dead\.ndjson:10: 28 bytes from byte \d+ on: it breaks off/)
  await assert.rejects(raw({ id: ['topic-b/0/5'] }, dir), { code: 'DEAD_LETTERS_DAMAGED' })
})

test('a reader that goes away ends the list without an error, and damage is told all the same', BOUNDED, async () => {
  const gone = {
    write: (_: unknown, done?: (error?: Error) => void) => done?.(Object.assign(new Error('gone'), { code: 'EPIPE' }))
  }
  await listDeadLetters({}, captureWorld({ cwd: folder, stdout: gone }), realFiles)
  const damaged = listDeadLetters({ dir: damagedCopy() }, captureWorld({ stdout: gone }), realFiles)
  await assert.rejects(damaged, { code: 'DEAD_LETTERS_DAMAGED' })
  const full = { write: (_: unknown, done?: (error?: Error) => void) => done?.(new Error('no space')) }
  await assert.rejects(listDeadLetters({}, captureWorld({ cwd: folder, stdout: full }), realFiles), /no space/)
})

test('a stop ends it in order, and says that it is not all', BOUNDED, async () => {
  const world = captureWorld({ cwd: folder, stop: AbortSignal.abort() })
  await showDeadLetters({ id: ['topic-a'] }, world, realFiles)
  assert.match(world.err(), /^no such dead letters in \S+, up to the stop\n$/)
})

test('wrong flags are told together, and a directory that is not there with its path', BOUNDED, async () => {
  await assert.rejects(list({ partition: 'x', since: 'then', raw: true }), {
    code: 'OPTIONS_INVALID',
    message:
      /3 invalid options:\n.*unknown flag --raw\n.*--partition is "x".*\n.*--since is "then", expected Unix seconds, or a time/
  })
  await assert.rejects(list({ dir: 'nowhere' }), { code: 'FILE_UNREADABLE', message: /ENOENT.*nowhere/ })
})

test('as a command: exit codes 0, 1 and 2, and what is wrong on standard error', BOUNDED, async t => {
  const run = async (...args: readonly string[]) => {
    const cli = startCli(['dead-letters', ...args], { signal: t.signal, cwd: folder })
    const { code } = await cli.ended
    return { code, out: cli.out(), err: cli.err() }
  }
  const [whole, damaged, none, nothing, unknown] = await Promise.all([
    run('list', '--json'),
    run('list', '--dir', damagedCopy()),
    run('show', 'topic-c'),
    run(),
    run('lsit')
  ])
  assert.deepEqual([whole.code, whole.out.split('\n').length], [0, 10])
  assert.equal(damaged.code, 1)
  assert.match(damaged.err, /\nDEAD_LETTERS_DAMAGED: 2 damaged places .*\nWhat breaks off was never taken for written/)
  assert.equal(none.code, 2)
  assert.match(nothing.err, /^USAGE: name what to do: list or show\n/)
  assert.match(unknown.err, /^USAGE: Unknown command: lsit\n/)
  assert.deepEqual([nothing.code, unknown.code], [2, 2])
  const help = await run('show', '--help')
  assert.equal(help.code, 0)
  for (const part of ['--raw', '--since', 'topic/partition/offset', 'Exit codes'])
    assert.ok(help.out.includes(part), part)
})
