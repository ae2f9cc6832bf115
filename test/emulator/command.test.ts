import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emulatorOptions, runEmulator } from '../../src/cli/emulator.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { callControl, listAt, post } from './support.ts'

/** Runs the command until it says that it is ready, then hands over what it printed, then stops it. */
async function whileRunning(
  args: Readonly<Record<string, unknown>>,
  use: (lines: readonly string[]) => Promise<void>
): Promise<void> {
  const stopping = new AbortController()
  const lines: string[] = []
  let ready = (): void => undefined
  const isReady = new Promise<void>(resolve => {
    ready = resolve
  })
  const running = runEmulator(args, {
    stop: stopping.signal,
    print: line => {
      lines.push(line)
      if (line.includes('ready')) ready()
    }
  })
  try {
    await Promise.race([isReady, running])
    await use(lines)
  } finally {
    stopping.abort()
    await running
  }
}

function exported(lines: readonly string[], name: string): string {
  const line = lines.find(text => text.startsWith(`export ${name}=`)) ?? ''
  return line.slice(`export ${name}=`.length)
}

test('what it prints opens the emulator that it started, until it is stopped', { timeout: 30_000 }, async () => {
  let endpoint = ''
  await whileRunning({ port: '0', topics: '3' }, async lines => {
    endpoint = exported(lines, 'CLS_ENDPOINT')
    const target = {
      endpoint,
      secretId: exported(lines, 'CLS_SECRET_ID'),
      secretKey: exported(lines, 'CLS_SECRET_KEY')
    }
    const topics = exported(lines, 'CLS_TOPIC_IDS').split(',')
    assert.equal(topics.length, 3)
    const fields = { LogsetId: exported(lines, 'CLS_LOGSET_ID'), ConsumerGroup: 'g', Timeout: 10, Topics: topics }
    const { response } = await callControl(target, 'CreateConsumerGroup', fields)
    assert.deepEqual(Object.keys(Object(response)), ['ConsumerGroup', 'RequestId'])
  })
  await assert.rejects(post(endpoint, '/emulator/state', {}, '', 'GET'), { code: 'ECONNREFUSED' })
})

test('the identities that the user gives are the ones it has, and the shell reads them as they are', {
  timeout: 30_000
}, async () => {
  const args = { port: '0', 'secret-id': 'id', 'secret-key': "it's", logset: 'l', topic: ['a', 'b'], partitions: '1' }
  await whileRunning(args, async lines => {
    assert.equal(exported(lines, 'CLS_SECRET_KEY'), `'it'\\''s'`)
    assert.equal(exported(lines, 'CLS_TOPIC_IDS'), 'a,b')
    const target = { endpoint: exported(lines, 'CLS_ENDPOINT'), secretId: 'id', secretKey: "it's" }
    const { response } = await callControl(target, 'DescribePartitions', { TopicId: 'b' })
    assert.equal(listAt(response, 'Partitions').length, 1)
    const groups = await callControl(target, 'DescribeConsumerGroups', { LogsetId: 'l' })
    assert.deepEqual(listAt(groups.response, 'ConsumerGroupsInfo'), [])
  })
})

test('all wrong flags are told in one error', async () => {
  const args = { port: 'x', 'start-offset': '-1', 'clock-skew-ms': 'late', topic: ['a'], topics: '2' }
  const never = { stop: new AbortController().signal, print: () => assert.fail('it started') }
  await assert.rejects(runEmulator(args, never), (error: unknown) => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, 'OPTIONS_INVALID')
    for (const flag of ['--port', '--start-offset', '--clock-skew-ms', '--topics']) {
      assert.ok(error.message.includes(flag), flag)
    }
    return true
  })
})

test('every flag that fixes an identity, a size or a clock is there', () => {
  const flags = [
    'port',
    'topics',
    'partitions',
    'secret-id',
    'secret-key',
    'logset',
    'topic',
    'start-offset',
    'clock-skew-ms'
  ]
  for (const flag of flags) assert.ok(flag in emulatorOptions, flag)
})
