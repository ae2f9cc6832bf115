import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { changeSettings } from '../../src/emulator/changes.ts'
import { DEFAULT_QUIRKS } from '../../src/emulator/quirks.ts'
import { type EmulatorHandle, type FaultRule, startEmulator } from '../../src/emulator/start.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { Bench, callControl, listAt, post } from './support.ts'

const PLACES = ['same', 'child'] as const

const CLOSED: FaultRule = { fault: { kind: 'error', code: 'FailedOperation', status: 410 } }

async function groupCount(emulator: EmulatorHandle): Promise<number> {
  const { response } = await callControl(emulator, 'DescribeConsumerGroups', { LogsetId: emulator.logsetId })
  return listAt(response, 'ConsumerGroupsInfo').length
}

async function createGroup(emulator: EmulatorHandle): Promise<void> {
  const group = { LogsetId: emulator.logsetId, ConsumerGroup: 'g', Timeout: 60, Topics: emulator.topicIds }
  await callControl(emulator, 'CreateConsumerGroup', group)
}

/** Resolves once nobody listens there any more, and fails where somebody does. */
async function assertRefused(endpoint: string): Promise<void> {
  await assert.rejects(post(endpoint, '/emulator/state', {}, '', 'GET'), { code: 'ECONNREFUSED' })
}

/** A connection that has had its answer and waits for the next request. */
async function idleConnection(emulator: EmulatorHandle, agent: Agent): Promise<Socket> {
  const call = request(`${emulator.endpoint}/emulator/state`, { agent }).end()
  const [response] = await once(call, 'response')
  const { socket } = response
  await once(response.resume(), 'end')
  // An idle connection of an agent does not keep this process waiting by itself.
  socket.ref()
  return socket
}

/** A connection whose request the server has begun to read. */
async function busyConnection(emulator: EmulatorHandle): Promise<Socket> {
  const headers = { expect: '100-continue', 'content-length': 10 }
  const call = request(`${emulator.endpoint}/pull_log`, { method: 'POST', headers, agent: false })
  call.on('error', () => undefined)
  call.flushHeaders()
  const [socket] = await once(call, 'socket')
  await once(call, 'continue')
  return socket
}

for (const place of PLACES) {
  test(`suspended it refuses connections, and resumed it goes on with its state on its port (${place})`, {
    timeout: 60_000
  }, async () => {
    const emulator = await startEmulator({ process: place })
    try {
      await createGroup(emulator)
      await emulator.suspend()
      await assertRefused(emulator.endpoint)
      assert.equal((await emulator.snapshot()).groups.length, 1)
      await emulator.resume()
      assert.equal(await groupCount(emulator), 1)
    } finally {
      await emulator.stop()
    }
    await assertRefused(emulator.endpoint)
    await emulator.stop()
  })

  test(`suspending cuts connections, idle ones and those with a request under way (${place})`, {
    timeout: 60_000
  }, async () => {
    const emulator = await startEmulator({ process: place })
    const agent = new Agent({ keepAlive: true })
    try {
      const idle = await idleConnection(emulator, agent)
      const busy = await busyConnection(emulator)
      const bothClosed = Promise.all([once(idle, 'close'), once(busy, 'close')])
      await emulator.suspend()
      await bothClosed
    } finally {
      agent.destroy()
      await emulator.stop()
    }
  })

  test(`a port that is taken is an error, not a silence (${place})`, { timeout: 60_000 }, async () => {
    const blocker = createServer()
    await new Promise<void>(resolve => blocker.listen(0, '127.0.0.1', resolve))
    try {
      const address = blocker.address()
      assert.ok(typeof address === 'object' && address !== null)
      await assert.rejects(startEmulator({ process: place, port: address.port }), (error: unknown) => {
        assert.ok(error instanceof ClsConsumerError)
        assert.equal(error.code, 'EMULATOR_NOT_STARTED')
        assert.match(error.message, /EADDRINUSE/)
        return true
      })
    } finally {
      await new Promise(resolve => blocker.close(resolve))
    }
  })

  test(`options reach the emulator, int64 and infinite ones too (${place})`, { timeout: 60_000 }, async () => {
    const startOffset = 2n ** 53n + 1n
    const options = { startOffset, topicIds: ['x'], partitionCount: 1, retentionMs: Number.POSITIVE_INFINITY }
    const emulator = await startEmulator({ process: place, ...options })
    try {
      assert.deepEqual((await emulator.snapshot()).topics, [
        {
          topicId: 'x',
          partitions: [
            {
              partition: 0,
              status: 'readwrite',
              beginOffset: startOffset,
              endOffset: startOffset,
              messageCount: 0,
              storedBytes: 0
            }
          ]
        }
      ])
    } finally {
      await emulator.stop()
    }
  })
}

for (const place of PLACES) {
  test(`faults, quirks, limits, the clock and the key can be changed by the handle (${place})`, {
    timeout: 60_000
  }, async () => {
    const emulator = await startEmulator({
      process: place,
      token: 'first',
      faults: [CLOSED],
      quirks: { size: 'log-groups' }
    })
    try {
      const described = (change = {}, override = {}) =>
        callControl({ ...emulator, ...change }, 'DescribeConsumerGroups', { LogsetId: emulator.logsetId }, override)
      const started = await emulator.snapshot()
      assert.deepEqual(started.faults, [{ rule: CLOSED, metCount: 0, struckCount: 0 }])
      assert.deepEqual(started.quirks, { ...DEFAULT_QUIRKS, size: 'log-groups' })

      assert.equal((await described()).answer.status, 410)
      assert.deepEqual((await emulator.snapshot()).faults, [{ rule: CLOSED, metCount: 1, struckCount: 1 }])
      await emulator.setFaults([{ action: 'pull_log', fault: { kind: 'truncate' } }])
      const { faults } = await emulator.snapshot()
      assert.deepEqual(
        faults.map(({ metCount }) => metCount),
        [0]
      )

      await emulator.setQuirks({ emptyLists: 'null' })
      const { quirks } = await emulator.snapshot()
      assert.deepEqual(quirks, { ...DEFAULT_QUIRKS, size: 'log-groups', emptyLists: 'null' })

      assert.equal(started.rateLimits, 'none')
      await emulator.setRateLimits('service')
      assert.equal((await emulator.snapshot()).rateLimits, 'service')
      await emulator.setRateLimits('none')
      assert.equal((await emulator.snapshot()).rateLimits, 'none')

      const token = (text: string) => ({ headers: { 'x-tc-token': text } })
      assert.deepEqual(Object(await described({}, token('first'))).response.ConsumerGroupsInfo, null)
      await emulator.setCredentials({ secretKey: 'second', token: 'second' })
      assert.equal(errorCode(await described({ secretKey: 'second' }, token('first'))), 'AuthFailure.TokenFailure')
      assert.equal(errorCode(await described({}, token('second'))), 'AuthFailure.SignatureFailure')
      assert.equal(errorCode(await described({ secretKey: 'second' }, token('second'))), undefined)
      await emulator.setCredentials({ secretId: 'third', token: null })
      assert.equal(errorCode(await described({ secretKey: 'second' })), 'AuthFailure.SecretIdNotFound')
      assert.equal(errorCode(await described({ secretId: 'third', secretKey: 'second' })), undefined)

      await emulator.setClockSkew(600_000)
      const late = await described({ secretId: 'third', secretKey: 'second' })
      assert.equal(errorCode(late), 'AuthFailure.SignatureExpire')
      assert.ok(Date.parse(String(late.answer.headers.date)) - Date.now() > 590_000)
      const skewed = await emulator.snapshot()
      assert.equal(skewed.clockSkewMs, 600_000)
      assert.ok(skewed.nowMs - Date.now() > 590_000)
    } finally {
      await emulator.stop()
    }
  })

  test(`a change that is wrong is refused with every problem, and changes nothing (${place})`, {
    timeout: 60_000
  }, async () => {
    const emulator = await startEmulator({ process: place, faults: [CLOSED] })
    try {
      const before = await emulator.snapshot()
      const wrongRules: FaultRule[] = [{ every: 0, fault: { kind: 'delay', ms: -1 } }]
      await refusedFor(emulator.setFaults(wrongRules), /every is 0/, /fault\.ms is -1/)
      await refusedFor(emulator.setQuirks({ compression: 'lz4', compressionHeader: 'absent' }), /nothing would tell/)
      await refusedFor(emulator.setClockSkew(0.5), /clockSkewMs/)
      const hard = JSON.parse('"hard"')
      await refusedFor(emulator.setRateLimits(hard), /rateLimits is not none or service/)
      await refusedFor(emulator.setCredentials({ secretKey: '', token: '' }), /secretKey is empty/, /token is empty/)
      const { nowMs: _, ...after } = await emulator.snapshot()
      assert.deepEqual({ ...after, nowMs: before.nowMs }, before)
      assert.equal(errorCode(await callControl(emulator, 'DescribePartitions', { TopicId: 'x' })), 'FailedOperation')
    } finally {
      await emulator.stop()
    }
  })
}

async function refusedFor(change: Promise<void>, ...problems: readonly RegExp[]): Promise<void> {
  await assert.rejects(change, (error: unknown) => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, 'OPTIONS_INVALID')
    for (const problem of problems) assert.match(error.message, problem)
    return true
  })
}

function errorCode({ response }: { readonly response: unknown }): unknown {
  return Object(response).Error?.Code
}

test('a clock that is set while it runs ends no membership, and a silence after it does', async () => {
  const bench = new Bench({ partitionCount: 1 })
  bench.createGroup('g', 10)
  bench.beat('A', [])
  assert.deepEqual(changeSettings(bench.state, { clockSkewMs: 600_000 }), [])
  bench.nowMs += 600_000
  assert.deepEqual([...(bench.state.groups.get('g')?.members(bench.nowMs).keys() ?? [])], ['A'])
  assert.deepEqual(bench.beat('B', []), [], 'A holds the partition')
  assert.deepEqual(changeSettings(bench.state, { clockSkewMs: -600_000 }), [])
  bench.nowMs += -1_200_000 + 10_001
  assert.deepEqual(bench.beat('B', []), [0])
})

test('a clock that is set back does not hold up what the rate limits let pass', () => {
  const bench = new Bench({ partitionCount: 1, rateLimits: 'service' })
  for (let count = 0; count < 200; count++) bench.pull({})
  changeSettings(bench.state, { clockSkewMs: -600_000 })
  bench.nowMs -= 600_000
  bench.pull({})
})

test('bad options are refused before anything is started', async () => {
  for (const place of PLACES) {
    await assert.rejects(startEmulator({ process: place, partitionCount: 0 }), { code: 'OPTIONS_INVALID' })
    const faults: FaultRule[] = [{ fault: { kind: 'delay', ms: 0 } }]
    await assert.rejects(startEmulator({ process: place, faults }), { code: 'OPTIONS_INVALID', message: /faults\[0\]/ })
  }
})

test('a killed child is gone at once, and calls to it fail', { timeout: 60_000 }, async () => {
  const emulator = await startEmulator({ process: 'child' })
  assert.notEqual(emulator.pid, process.pid)
  await emulator.kill()
  await assertRefused(emulator.endpoint)
  await assert.rejects(emulator.snapshot(), { code: 'EMULATOR_NOT_STARTED' })
  await emulator.kill()
  await emulator.stop()
})

test("a child is out of reach of the terminal's Ctrl-C: it leads a process group of its own", {
  timeout: 60_000,
  skip: process.platform === 'win32'
}, async () => {
  const emulator = await startEmulator({ process: 'child' })
  try {
    // Signal 0 only asks whether there is such a group.
    assert.ok(process.kill(-emulator.pid, 0))
  } finally {
    await emulator.stop()
  }
})

test("I9: the consumer's variables do not get into the environment of a child", {
  timeout: 60_000,
  skip: process.platform !== 'linux'
}, async () => {
  process.env.CLS_SECRET_KEY = 'not-for-others'
  try {
    const emulator = await startEmulator({ process: 'child' })
    try {
      const environment = readFileSync(`/proc/${emulator.pid}/environ`, 'utf8')
      assert.ok(environment.includes('PATH='))
      assert.ok(!environment.includes('not-for-others'))
    } finally {
      await emulator.stop()
    }
  } finally {
    delete process.env.CLS_SECRET_KEY
  }
})

test('a child that does not listen in time is an error, and does not stay', { timeout: 60_000 }, async () => {
  await assert.rejects(startEmulator({ process: 'child', startTimeoutMs: 1 }), (error: unknown) => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, 'EMULATOR_NOT_STARTED')
    assert.match(error.message, /within 1 ms/)
    return true
  })
})

test('a child ends when the process that started it is killed', { timeout: 60_000 }, async () => {
  const start = new URL('../../src/emulator/start.js', import.meta.url)
  const script = `import { startEmulator } from ${JSON.stringify(start.href)}
    const { endpoint } = await startEmulator({ process: 'child' })
    console.log(endpoint)`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const [endpoint] = await once(createInterface(starter.stdout), 'line')
  // The emulator has inherited the starter's standard error: it closes once both are gone.
  const bothGone = once(starter.stderr.resume(), 'end')
  starter.kill('SIGKILL')
  await bothGone
  await assertRefused(String(endpoint))
})
