/** The endpoint by which a running emulator is looked into and changed. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Json, parseJson } from '../../src/cls/json.ts'
import { DEFAULT_QUIRKS } from '../../src/emulator/quirks.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import { at, callControl, listAt, post } from './support.ts'

const BOUNDED = { timeout: 30_000 }
const RULE = { action: 'pull_log', every: 2, fault: { kind: 'drop', when: 'body' } }

let emulator: EmulatorHandle
before(async () => {
  emulator = await startEmulator()
})
after(() => emulator.stop())

async function ask(method: string, path: string, body = ''): Promise<{ readonly status: number; readonly json: Json }> {
  const answer = await post(
    emulator.endpoint,
    `/emulator/${path}`,
    { 'content-type': 'application/json' },
    body,
    method
  )
  assert.equal(answer.headers['content-type'], 'application/json')
  return { status: answer.status, json: parseJson(answer.body.toString()) }
}

test('rules that are put take the place of all others, and the answer is the new state', BOUNDED, async () => {
  const put = await ask('PUT', 'faults', JSON.stringify([RULE]))
  assert.equal(put.status, 200)
  assert.deepEqual(listAt(put.json, 'faults'), [{ rule: RULE, metCount: 0, struckCount: 0 }])
  assert.deepEqual(listAt((await ask('GET', 'state')).json, 'faults'), listAt(put.json, 'faults'))
  assert.deepEqual(listAt((await ask('PUT', 'faults', '[]')).json, 'faults'), [])
})

test('settings that are patched change, and the others stay', BOUNDED, async () => {
  const quirks = { nextOffset: 'lying', boundedEnd: 'with-messages' }
  const patched = await ask('PATCH', 'settings', JSON.stringify({ quirks, clockSkewMs: 100_000, secretKey: 'other' }))
  assert.equal(patched.status, 200)
  assert.deepEqual(at(patched.json, 'quirks'), { ...DEFAULT_QUIRKS, ...quirks })
  assert.ok(Number(at(patched.json, 'nowMs')) - Date.now() > 90_000)
  const fields = { LogsetId: emulator.logsetId }
  const refused = await callControl(emulator, 'DescribeConsumerGroups', fields)
  assert.equal(at(at(refused.response, 'Error'), 'Code'), 'AuthFailure.SignatureFailure')
  const accepted = await callControl({ ...emulator, secretKey: 'other' }, 'DescribeConsumerGroups', fields)
  assert.deepEqual(listAt(accepted.response, 'ConsumerGroupsInfo'), [])

  const back = await ask('PATCH', 'settings', JSON.stringify({ clockSkewMs: 0, secretKey: emulator.secretKey }))
  assert.deepEqual(at(back.json, 'quirks'), { ...DEFAULT_QUIRKS, ...quirks })
  await callControl(emulator, 'DescribeConsumerGroups', fields)
})

test('rate limits can be set, and the state tells them and the clock that hold', BOUNDED, async () => {
  const { json: before } = await ask('GET', 'state')
  assert.deepEqual([at(before, 'rateLimits'), at(before, 'clockSkewMs')], ['none', 0])
  const patched = await ask('PATCH', 'settings', '{"rateLimits":"service","clockSkewMs":-5}')
  assert.equal(patched.status, 200)
  for (const json of [patched.json, (await ask('GET', 'state')).json])
    assert.deepEqual([at(json, 'rateLimits'), at(json, 'clockSkewMs')], ['service', -5])
  const back = await ask('PATCH', 'settings', '{"rateLimits":"none","clockSkewMs":0}')
  assert.deepEqual([at(back.json, 'rateLimits'), at(back.json, 'clockSkewMs')], ['none', 0])
})

test('I9: neither key nor token is in the state, or in what is said of a wrong one', BOUNDED, async () => {
  const answer = await ask('PATCH', 'settings', '{"secretKey":"hush-hush","token":"whisper"}')
  assert.equal(answer.status, 200)
  const wrong = await ask('PATCH', 'settings', '{"secretKey":["hush-hush"],"token":{"is":"whisper"}}')
  assert.equal(wrong.status, 400)
  assert.equal(listAt(wrong.json, 'problems').length, 2)
  for (const { json } of [answer, wrong]) assert.doesNotMatch(JSON.stringify(json), /hush|whisper/)
  await ask('PATCH', 'settings', JSON.stringify({ secretKey: emulator.secretKey, token: null }))
})

test('what is wrong is 400 with every problem, and changes nothing', BOUNDED, async () => {
  await ask('PUT', 'faults', JSON.stringify([RULE]))
  const { json: before } = await ask('GET', 'state')
  for (const [method, path, body, ...expected] of [
    ['PUT', 'faults', '[{"fault":{"kind":"delay"}},{"fault":7}]', /\[0\]\.fault\.ms is missing/, /\[1\]\.fault is not/],
    ['PUT', 'faults', '{}', /not a list/],
    ['PUT', 'faults', '[', /not JSON/],
    ['PUT', 'faults', '', /not JSON/],
    ['PATCH', 'settings', '[]', /not an object/],
    ['PATCH', 'settings', '{"clockSkewMs":100000000000001}', /clockSkewMs is not a whole number from/],
    [
      'PATCH',
      'settings',
      '{"port":1,"quirks":{"size":"x"},"clockSkewMs":"1"}',
      /^port cannot be changed: quirks, rateLimits, clockSkewMs, secretId, secretKey, token can$/,
      /quirk size/,
      /clockSkewMs/
    ],
    ['PATCH', 'settings', '{"rateLimits":"hard"}', /^rateLimits is not none or service$/],
    ['PATCH', 'settings', '{"rateLimits":null}', /^rateLimits is not none or service$/],
    ['PATCH', 'settings', '{"quirks":null,"clockSkewMs":5}', /quirks is not an object/]
  ] as const) {
    const { status, json } = await ask(method, path, body)
    assert.equal(status, 400, body)
    const problems = listAt(json, 'problems').map(String)
    assert.equal(problems.length, expected.length, problems.join('\n'))
    for (const [index, pattern] of expected.entries())
      assert.ok(
        problems.some(told => pattern.test(told)),
        `${index} ${body}`
      )
  }
  const { json: now } = await ask('GET', 'state')
  assert.deepEqual({ ...Object(now), nowMs: 0 }, { ...Object(before), nowMs: 0 })
  await ask('PUT', 'faults', '[]')
})

test('another path or method is told what there is', BOUNDED, async () => {
  for (const [method, path] of [
    ['POST', 'faults'],
    ['GET', ''],
    ['GET', 'settings']
  ] as const) {
    const { status, json } = await ask(method, path)
    assert.equal(status, 404)
    assert.match(String(listAt(json, 'problems')[0]), /GET state, PUT faults and PATCH settings/)
  }
})

test('no fault strikes it', BOUNDED, async () => {
  const put = await ask('PUT', 'faults', '[{"fault":{"kind":"drop","when":"before"}}]')
  assert.equal(put.status, 200)
  const { json } = await ask('GET', 'state')
  assert.deepEqual(at(listAt(json, 'faults')[0], 'metCount'), 0)
  assert.equal((await ask('PUT', 'faults', '[]')).status, 200)
})
