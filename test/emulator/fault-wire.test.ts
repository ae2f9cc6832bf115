/** Each kind of fault as a client meets with it, byte by byte. */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { compress, decompress } from '../../src/cls/compression.ts'
import { type Json, parseJson, printJson } from '../../src/cls/json.ts'
import type { Fault, FaultRule } from '../../src/emulator/fault-rules.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import {
  at,
  controlRequest,
  dataRequest,
  type Observed,
  observe,
  readPull,
  type Signed,
  uploadBody
} from './support.ts'

const BOUNDED = { timeout: 30_000 }
/** Longer than any test runs. */
const FOR_EVER_MS = 3_600_000

let emulator: EmulatorHandle
let groupCount = 0

before(async () => {
  emulator = await startEmulator({ partitionCount: 1, topicCount: 1 })
  await observe(emulator.endpoint, upload('a'))
})
beforeEach(() => emulator.setFaults([]))
after(() => emulator.stop())

const topicId = (): string => emulator.topicIds[0] ?? ''

const pull = (compression = 'snappy'): Signed => {
  const fields = { PartitionId: 0, StartOffset: 0, CompressType: compression }
  return dataRequest(emulator, '/pull_log', topicId(), printJson(fields))
}

const upload = (id: string): Signed => dataRequest(emulator, '/structuredlog', topicId(), uploadBody([id]))

/** Of a name that no other test has. */
const createGroup = (): { readonly name: string; readonly signed: Signed } => {
  const name = `g${groupCount++}`
  const fields = { LogsetId: emulator.logsetId, ConsumerGroup: name, Timeout: 10, Topics: [topicId()] }
  return { name, signed: controlRequest(emulator, 'CreateConsumerGroup', fields) }
}

async function isThere(group: string): Promise<boolean> {
  return (await emulator.snapshot()).groups.some(({ group: name }) => name === group)
}

async function storedCount(): Promise<number> {
  return (await emulator.snapshot()).topics[0]?.partitions[0]?.messageCount ?? 0
}

/** What one request gets that meets with the fault. */
async function under(fault: Fault, signed: Signed, rule: Partial<FaultRule> = {}): Promise<Observed> {
  await emulator.setFaults([{ ...rule, fault }])
  const observed = await observe(emulator.endpoint, signed)
  assert.equal((await emulator.snapshot()).faults[0]?.struckCount, 1)
  await emulator.setFaults([])
  return observed
}

const bodyOf = (observed: Observed): Json => parseJson(observed.body.toString())

test(
  'error, of the control plane: a 200 with the code, or the status that is asked for; nothing is done',
  BOUNDED,
  async () => {
    const { name, signed } = createGroup()
    const error = await under({ kind: 'error', code: 'InternalError', message: 'm' }, signed)
    assert.deepEqual([error.status, error.headers['content-type']], [200, 'application/json'])
    assert.deepEqual(at(at(bodyOf(error), 'Response'), 'Error'), { Code: 'InternalError', Message: 'm' })
    assert.match(String(at(at(bodyOf(error), 'Response'), 'RequestId')), /-/)
    assert.equal((await under({ kind: 'error', code: 'InternalError', status: 503 }, signed)).status, 503)
    assert.ok(!(await isThere(name)))
  }
)

test(
  'error, of the data plane: flat, with its documented status, or the one that is asked for; nothing is done',
  BOUNDED,
  async () => {
    const stored = await storedCount()
    for (const [code, status] of [
      ['InvalidParam', 400],
      ['TopicClosed', 400],
      ['InvalidAuthorization', 400],
      ['InvalidParameter.InvalidOffset', 400],
      ['Unauthorized', 401],
      ['NotAllowed', 403],
      ['TopicNotExist', 404],
      ['LogSizeExceed', 413],
      ['SpeedQuotaExceed', 429],
      ['InternalError', 500]
    ] as const) {
      const error = await under({ kind: 'error', code }, upload('not stored'))
      assert.deepEqual([error.status, at(bodyOf(error), 'errorcode')], [status, code])
      assert.match(String(error.headers['x-cls-requestid']), /-/)
    }
    assert.equal((await under({ kind: 'error', code: 'TopicClosed', status: 418 }, pull())).status, 418)
    assert.equal(await storedCount(), stored)
  }
)

test('error wrapped: a 200 whose body holds it, in the clear or compressed', BOUNDED, async () => {
  for (const [wrapped, compression] of [
    ['plain', 'none'],
    ['snappy', 'snappy'],
    ['lz4', 'lz4']
  ] as const) {
    const fault = { kind: 'error', code: 'TopicClosed', wrapped } as const
    const { status, headers, body } = await under(fault, pull(), { action: 'pull_log' })
    assert.equal(status, 200)
    assert.equal(headers['x-cls-compress-type'], wrapped === 'plain' ? undefined : wrapped)
    const response = at(parseJson(decompress(body, compression, 1000).toString()), 'Response')
    assert.equal(at(at(response, 'Error'), 'Code'), 'TopicClosed')
  }
})

test(
  'error wrapped in the clear begins with its brace, whatever the white space: nothing else tells it',
  BOUNDED,
  async () => {
    await emulator.setQuirks({ whiteSpace: 'spaces' })
    try {
      const fault = { kind: 'error', code: 'c', wrapped: 'plain' } as const
      assert.match((await under(fault, pull(), { action: 'pull_log' })).body.toString(), /^\{ \r\n\t"Response"/)
    } finally {
      await emulator.setQuirks({ whiteSpace: 'none' })
    }
  }
)

test(
  'status: a page, another JSON, or no body at all, with nothing of the service in it; nothing is done',
  BOUNDED,
  async () => {
    const { name, signed } = createGroup()
    const page = await under({ kind: 'status', status: 502 }, signed)
    assert.deepEqual([page.status, page.headers['content-type'], page.isWhole], [502, 'text/html', true])
    assert.match(page.body.toString(), /^<html>[\s\S]*502[\s\S]*<\/html>\r\n$/)
    const empty = await under({ kind: 'status', status: 200, body: 'empty' }, signed)
    assert.deepEqual([empty.status, empty.body.length, empty.isWhole], [200, 0, true])
    const json = await under({ kind: 'status', status: 504, body: 'json' }, signed)
    assert.deepEqual(Object.keys(Object(bodyOf(json))), ['message', 'status'])
    for (const { headers } of [page, empty, json]) assert.equal(headers['x-cls-requestid'], undefined)
    assert.ok(!(await isThere(name)))
  }
)

test('drop before and answer: not a byte, with nothing done and with all done', BOUNDED, async () => {
  for (const [when, isDone] of [
    ['before', false],
    ['answer', true]
  ] as const) {
    const { name, signed } = createGroup()
    const { status, body } = await under({ kind: 'drop', when }, signed)
    assert.deepEqual([status, body.length], [undefined, 0])
    assert.equal(await isThere(name), isDone, when)
  }
})

test(
  'drop headers and body: headers for a whole body, of which nothing comes or half; all is done',
  BOUNDED,
  async () => {
    const { body: whole } = await observe(emulator.endpoint, pull('none'))
    for (const [when, expected] of [
      ['headers', Buffer.alloc(0)],
      ['body', whole.subarray(0, Math.floor(whole.length / 2))]
    ] as const) {
      const cut = await under({ kind: 'drop', when }, pull('none'))
      assert.deepEqual([cut.status, cut.isWhole, Number(cut.headers['content-length'])], [200, false, whole.length])
      assert.deepEqual(cut.body.subarray(0, 40), expected.subarray(0, 40))
      assert.equal(cut.body.length, expected.length)
      const { name, signed } = createGroup()
      assert.equal((await under({ kind: 'drop', when }, signed)).isWhole, false)
      assert.ok(await isThere(name))
    }
  }
)

test('an answer without a body is not whole either once its connection is dropped', BOUNDED, async () => {
  const stored = await storedCount()
  for (const when of ['headers', 'body'] as const) {
    assert.equal((await under({ kind: 'drop', when }, upload('stored'))).isWhole, false)
  }
  assert.equal(await storedCount(), stored + 2)
})

test('a dropped body of a megabyte comes to its half, however much of it was still to be sent', BOUNDED, async () => {
  const big = await startEmulator({ partitionCount: 1, topicIds: [topicId()] })
  try {
    const noise = Array.from({ length: 40_000 }, (_, index) => `${(index * 2_654_435_761) % 4_294_967_296}`)
    await observe(big.endpoint, dataRequest(big, '/structuredlog', topicId(), uploadBody(noise.slice(0, 10_000))))
    const asked = dataRequest(big, '/pull_log', topicId(), '{"PartitionId":0,"StartOffset":0,"CompressType":"none"}')
    const whole = await observe(big.endpoint, asked)
    await big.setFaults([{ fault: { kind: 'drop', when: 'body' } }])
    const cut = await observe(big.endpoint, asked)
    assert.deepEqual([cut.isWhole, cut.body.length], [false, Math.floor(whole.body.length / 2)])
  } finally {
    await big.stop()
  }
})

test('truncate: whole HTTP, half of the bytes; all is done', BOUNDED, async () => {
  const { body: whole } = await observe(emulator.endpoint, pull())
  const half = await under({ kind: 'truncate' }, pull())
  assert.deepEqual([half.status, half.isWhole], [200, true])
  assert.deepEqual(half.body, whole.subarray(0, Math.floor(whole.length / 2)))
  assert.equal(Number(half.headers['content-length']), half.body.length)
  const { name, signed } = createGroup()
  const control = await under({ kind: 'truncate' }, signed)
  assert.throws(() => bodyOf(control), SyntaxError)
  assert.ok(await isThere(name))
})

test(
  'corrupt: a pull packs the damage of the layer that is asked for, other actions that of their bytes',
  BOUNDED,
  async () => {
    const bytes = await under({ kind: 'corrupt' }, pull())
    assert.throws(() => decompress(bytes.body, 'snappy', 10_000), { code: 'BODY_CORRUPT' })
    const json = await under({ kind: 'corrupt', what: 'json' }, pull())
    assert.throws(() => parseJson(decompress(json.body, 'snappy', 10_000).toString()), SyntaxError)
    const base64 = await under({ kind: 'corrupt', what: 'base64' }, pull())
    assert.match(decompress(base64.body, 'snappy', 10_000).toString(), /"[^"]+\*[^"]+"/)
    for (const what of ['header', 'protobuf'] as const) {
      const { body } = await under({ kind: 'corrupt', what }, pull())
      assert.throws(() => readPull(body, 'snappy'), { code: 'MESSAGE_CORRUPT' }, what)
    }
    const { name, signed } = createGroup()
    const control = await under({ kind: 'corrupt', what: 'base64' }, signed)
    assert.equal(control.isWhole, true)
    assert.throws(() => bodyOf(control), SyntaxError)
    assert.ok(await isThere(name))
  }
)

test('corrupt, of a pull that is refused: its bytes', BOUNDED, async () => {
  const beyond = dataRequest(emulator, '/pull_log', topicId(), '{"PartitionId":0,"StartOffset":99}')
  const refused = await under({ kind: 'corrupt', what: 'protobuf' }, beyond)
  assert.equal(refused.status, 400)
  assert.throws(() => bodyOf(refused), SyntaxError)
})

test(
  'too-large: the body of a pull decompresses to at least so much, and holds what it would hold',
  BOUNDED,
  async () => {
    const { body, headers } = await under({ kind: 'too-large', bytes: 3_000_000 }, pull())
    assert.ok(body.length < 300_000, 'compressed it is small')
    assert.equal(headers['x-cls-compress-type'], 'snappy')
    const { ids, text } = readPull(body, 'snappy')
    assert.ok(text.length >= 3_000_000)
    assert.deepEqual(ids.slice(0, 1), ['a'])
  }
)

test('a flawed body is not kept: the next pull is sound', BOUNDED, async () => {
  const sound = await observe(emulator.endpoint, pull())
  await under({ kind: 'corrupt' }, pull())
  assert.deepEqual((await observe(emulator.endpoint, pull())).body, sound.body)
})

test(
  'a delay before holds the request back, one after its answer alone, and neither holds up others',
  BOUNDED,
  async () => {
    for (const [when, isDone] of [
      ['before', false],
      ['after', true]
    ] as const) {
      await emulator.setFaults([{ action: 'CreateConsumerGroup', fault: { kind: 'delay', ms: FOR_EVER_MS, when } }])
      const { name, signed } = createGroup()
      const delayed = observe(emulator.endpoint, signed)
      await untilStruck(emulator)
      assert.equal((await observe(emulator.endpoint, pull())).status, 200)
      assert.equal(await isThere(name), isDone, when)
      await emulator.suspend()
      assert.equal((await delayed).status, undefined, 'suspending ends the delay')
      await emulator.resume()
      assert.equal(await isThere(name), isDone, when)
    }
  }
)

test('a delayed answer comes, no sooner than its delays together', BOUNDED, async () => {
  await emulator.setFaults([
    { fault: { kind: 'delay', ms: 40 } },
    { fault: { kind: 'delay', ms: 30, when: 'after' } },
    { fault: { kind: 'error', code: 'TopicClosed' } }
  ])
  const startMs = performance.now()
  const { status } = await observe(emulator.endpoint, pull())
  assert.equal(status, 400, 'and the fault that follows')
  // Timers may fire a millisecond early.
  assert.ok(performance.now() - startMs >= 68)
})

test('a request that waits to take effect does so although its client has gone', BOUNDED, async () => {
  await emulator.setFaults([
    { action: 'CreateConsumerGroup', fault: { kind: 'delay', ms: 50 } },
    { action: 'pull_log', fault: { kind: 'delay', ms: 100 } }
  ])
  const { name, signed } = createGroup()
  const gone = httpRequest(`${emulator.endpoint}/`, { method: 'POST', headers: signed.headers, agent: false })
  const closed = new Promise(resolve => gone.on('error', () => undefined).on('close', resolve))
  gone.end(signed.body)
  await untilStruck(emulator)
  gone.destroy()
  await closed
  // Delayed later and for longer: once it is answered, the other has had its time.
  await observe(emulator.endpoint, pull())
  assert.ok(await isThere(name))
})

test('after a cut connection the next request on a new one is answered as always', BOUNDED, async () => {
  await emulator.setFaults([{ times: 1, fault: { kind: 'drop', when: 'headers' } }])
  assert.equal((await observe(emulator.endpoint, pull())).isWhole, false)
  assert.equal((await observe(emulator.endpoint, pull())).isWhole, true)
})

test('faults strike what they are about: one partition, one consumer, whatever else is asked', BOUNDED, async () => {
  const { signed, name } = createGroup()
  await observe(emulator.endpoint, signed)
  const beat = (consumer: string) => {
    const fields = { LogsetId: emulator.logsetId, ConsumerGroup: name, Consumer: consumer, TopicPartitionsInfo: [] }
    return observe(emulator.endpoint, controlRequest(emulator, 'SendConsumerHeartbeat', fields))
  }
  await emulator.setFaults([
    { consumer: 'A', fault: { kind: 'status', status: 500 } },
    { action: 'pull_log', partition: 1, fault: { kind: 'status', status: 501 } }
  ])
  assert.deepEqual([(await beat('A')).status, (await beat('B')).status], [500, 200])
  assert.equal((await observe(emulator.endpoint, pull())).status, 200)
  const other = dataRequest(emulator, '/pull_log', topicId(), '{"PartitionId":1,"StartOffset":0}')
  assert.equal((await observe(emulator.endpoint, other)).status, 501)
})

test('a struck request is not looked at any further: its signature may be wrong', BOUNDED, async () => {
  const stranger = dataRequest({ ...emulator, secretKey: 'wrong' }, '/pull_log', topicId(), '{}')
  assert.equal((await under({ kind: 'error', code: 'TopicClosed' }, stranger)).status, 400)
  assert.equal((await under({ kind: 'delay', ms: 1 }, stranger)).status, 401)
})

test('quirks are seen on the wire, and change while it runs', BOUNDED, async () => {
  const body = compress(uploadBody(['b']), 'lz4')
  const headers = { 'x-cls-compress-type': 'lz4' }
  await observe(emulator.endpoint, dataRequest(emulator, '/structuredlog', topicId(), body, { headers }))
  await emulator.setQuirks({ compression: 'lz4', nextOffset: 'last', whiteSpace: 'spaces', emptyLists: 'null' })
  try {
    const lz4 = await observe(emulator.endpoint, pull())
    assert.equal(lz4.headers['x-cls-compress-type'], 'lz4')
    assert.match(readPull(lz4.body, 'lz4').text, /"NextOffset" \r\n\t: \r\n\t\d+ \r\n\t\} \r\n\t\} \r\n\t$/)
    const fields = { LogsetId: emulator.logsetId, Topics: ['none'] }
    const groups = await observe(emulator.endpoint, controlRequest(emulator, 'DescribeConsumerGroups', fields))
    assert.equal(Object(at(bodyOf(groups), 'Response')).ConsumerGroupsInfo, null)
    assert.equal((await emulator.snapshot()).quirks.compression, 'lz4')
  } finally {
    await emulator.setQuirks({ compression: 'asked', nextOffset: 'first', whiteSpace: 'none', emptyLists: 'list' })
  }
  assert.equal((await observe(emulator.endpoint, pull())).headers['x-cls-compress-type'], 'snappy')
})

test(
  '20 requests of an action pass in a second, the next is RequestLimitExceeded; other actions go on',
  BOUNDED,
  async () => {
    const limited = await startEmulator({ rateLimits: 'service' })
    try {
      const ask = async (action: string) => {
        const fields = { LogsetId: limited.logsetId, TopicId: limited.topicIds[0] ?? '' }
        const observed = await observe(limited.endpoint, controlRequest(limited, action, fields))
        assert.equal(observed.status, 200)
        return Object(at(bodyOf(observed), 'Response')).Error?.Code
      }
      const startMs = performance.now()
      const codes: unknown[] = []
      while (!codes.includes('RequestLimitExceeded')) {
        codes.push(...(await Promise.all(Array.from({ length: 60 }, () => ask('DescribePartitions')))))
      }
      const seconds = Math.ceil((performance.now() - startMs) / 1000)
      const passed = codes.filter(code => code === undefined).length
      assert.ok(passed >= 20 && passed <= 20 * seconds, `${passed} in ${seconds} s`)
      assert.deepEqual(new Set(codes), new Set([undefined, 'RequestLimitExceeded']))
      assert.equal(await ask('DescribeConsumerGroups'), undefined)
    } finally {
      await limited.stop()
    }
  }
)

/** Resolves once the first rule has struck. */
async function untilStruck(struck: EmulatorHandle): Promise<void> {
  while ((await struck.snapshot()).faults[0]?.struckCount === 0) await turn()
}
