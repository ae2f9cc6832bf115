import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emulatorEpilogue, emulatorOptions, runEmulator } from '../../src/cli/emulator.ts'
import { SETTING_NAMES } from '../../src/cli/fault-flag.ts'
import { parseJson } from '../../src/cls/json.ts'
import { ACTION_NAMES } from '../../src/emulator/action-names.ts'
import { DEFAULT_QUIRKS, QUIRKS } from '../../src/emulator/quirks.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { at, callControl, listAt, post } from './support.ts'

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

test('faults, quirks and limits of the flags are in force from the start, and it tells where to change them', {
  timeout: 30_000
}, async () => {
  const fault = ['pull_log:delay:5,every=3', '{"consumer":"A","fault":{"kind":"drop","when":"answer"}}']
  const args = { port: '0', fault, quirk: ['nextOffset=last', 'size=log-groups'], 'rate-limits': true }
  await whileRunning(args, async lines => {
    const [, admin = ''] = lines.map(line => /PUT faults, PATCH settings at (\S+\/)$/.exec(line)).find(Boolean) ?? []
    const { body } = await post(admin, 'state', {}, '', 'GET')
    const state = parseJson(body.toString())
    const rules = listAt(state, 'faults').map(entry => at(entry, 'rule'))
    assert.deepEqual(rules, [
      { every: 3, action: 'pull_log', fault: { kind: 'delay', ms: 5 } },
      { consumer: 'A', fault: { kind: 'drop', when: 'answer' } }
    ])
    assert.deepEqual(at(state, 'quirks'), { ...DEFAULT_QUIRKS, nextOffset: 'last', size: 'log-groups' })
    const target = {
      endpoint: exported(lines, 'CLS_ENDPOINT'),
      secretId: exported(lines, 'CLS_SECRET_ID'),
      secretKey: exported(lines, 'CLS_SECRET_KEY')
    }
    const codes: unknown[] = []
    while (!codes.includes('RequestLimitExceeded')) {
      const calls = Array.from({ length: 60 }, () => callControl(target, 'DescribePartitions', { TopicId: 'x' }))
      codes.push(...(await Promise.all(calls)).map(({ response }) => at(at(response, 'Error'), 'Code')))
    }
  })
})

test('wrong faults and quirks are told with the right ones', async () => {
  const never = { stop: new AbortController().signal, print: () => assert.fail('it started') }
  for (const [args, ...expected] of [
    [{ fault: ['pull:delay:5'] }, /--fault "pull:delay:5": action is "pull": expected .*pull_log/],
    [{ fault: ['*:dely:5'] }, /--fault "\*:dely:5": there is no kind of fault "dely": expected delay or error/],
    [{ quirk: ['sizes=bytes'] }, /--quirk: there is no quirk sizes: there are boundedEnd, .*emptyLists/],
    [
      { quirk: ['size=big', 'lastBeat'] },
      /size is "big": expected bytes or log-groups/,
      /lastBeat is "": expected joins/
    ],
    [{ quirk: ['compression=lz4', 'compressionHeader=absent'] }, /nothing would tell/],
    [{ quirk: ['size=bytes=log-groups'] }, /size is "bytes=log-groups"/]
  ] as const) {
    await assert.rejects(runEmulator({ ...args, port: 'x' }, never), (error: unknown) => {
      assert.ok(error instanceof ClsConsumerError && error.code === 'OPTIONS_INVALID')
      for (const pattern of [...expected, /--port/]) assert.match(error.message, pattern)
      return true
    })
  }
})

test('the help names every quirk with its values and what it is about, all that a fault may be, and the exit codes', () => {
  for (const [name, { values, help }] of Object.entries(QUIRKS)) {
    const words = help.replaceAll('`', '')
    assert.ok(emulatorEpilogue.includes(`\n  ${name}=${values.join('|')}\n      ${words}\n`), name)
  }
  const kinds = ['delay:ms[:before|after]', 'error:code[:status]', 'status:status[:html|empty|json]', 'truncate']
  kinds.push('drop:before|headers|body|answer', 'corrupt[:bytes|json|base64|header|protobuf]', 'too-large:bytes')
  for (const kind of kinds) assert.ok(emulatorEpilogue.includes(`\n  ${kind}\n`), kind)
  for (const action of ACTION_NAMES) assert.ok(emulatorEpilogue.includes(action), action)
  for (const name of SETTING_NAMES) assert.match(emulatorEpilogue, new RegExp(`  (?:[^:]*, )?${name}=[A-Z]+[,:]`), name)
  assert.match(emulatorEpilogue, /Exit codes: 0 .* 1 .* 2 .* 130 or 143 /)
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

test('every flag that fixes an identity, a size, a clock or a fault is there', () => {
  const flags = [
    'port',
    'topics',
    'partitions',
    'secret-id',
    'secret-key',
    'logset',
    'topic',
    'start-offset',
    'clock-skew-ms',
    'fault',
    'quirk',
    'rate-limits'
  ]
  for (const flag of flags) assert.ok(flag in emulatorOptions, flag)
})
