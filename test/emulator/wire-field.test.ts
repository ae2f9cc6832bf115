/**
 * Requests as clients in the field write them, each on a connection of its own.
 *
 * In: the requests of the official Python and Go log SDKs, down to white space and headers, without the SDKs. Out: the
 * answers that these need to go on. Must never happen: a request that this project's own client writes differently and
 * the emulator therefore refuses.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { isRecord, type Json, parseJson } from '../../src/cls/json.ts'
import { type EmulatorHandle, startEmulator } from '../../src/emulator/start.ts'
import {
  at,
  callData,
  type HttpAnswer,
  listAt,
  type Pulled,
  post,
  readPull,
  signQ,
  signTc3,
  uploadBody
} from './support.ts'

const BOUNDED = { timeout: 20_000 } as const
const START = 1000n

let emulator: EmulatorHandle
/** A topic for each test. */
let topics: readonly string[] = []
before(async () => {
  emulator = await startEmulator({ topicCount: 4, partitionCount: 2, startOffset: START })
  topics = emulator.topicIds
})
after(() => emulator.stop())

const nowSeconds = (): number => Math.floor(Date.now() / 1000)

async function upload(topicId: string, ids: readonly string[], partition: 0 | 1): Promise<void> {
  const headers = { 'x-cls-hashkey': (partition === 0 ? '1' : 'e').repeat(32) }
  for (const id of ids) {
    const { status } = await callData(emulator, '/structuredlog', topicId, uploadBody([id]), { headers })
    assert.equal(status, 200)
  }
}

/** Python's `requests`: it asks for the connection to be kept, and closes it after the answer. */
const REQUESTS = { 'Accept-Encoding': 'gzip, deflate', Accept: '*/*', Connection: 'keep-alive' } as const
const SDK_AGENT = "log-python-sdk-v-1.0.8, sys.version_info(major=3, minor=11, releaselevel='final'), linux-consumer"

interface ByPython {
  readonly host: string
  readonly region: string
}

/** The SDK names the host without the port, and the region also where it has none. */
function control(action: string, body: string, { host, region }: ByPython): Promise<HttpAnswer> {
  const unixSeconds = nowSeconds()
  const { secretId, secretKey } = emulator
  const headers = {
    Host: host,
    'User-Agent': SDK_AGENT,
    ...REQUESTS,
    'Content-Type': 'application/json',
    'X-TC-Version': '2020-10-16',
    'X-TC-Timestamp': String(unixSeconds),
    'X-TC-Language': 'zh-CN',
    'X-TC-Action': action,
    'X-TC-Region': region,
    Authorization: signTc3({ secretId, secretKey, host, body, unixSeconds })
  }
  return post(emulator.endpoint, '/', headers, body)
}

function pull(topicId: string, body: string, { host }: Pick<ByPython, 'host'>): Promise<HttpAnswer> {
  const contentType = 'application/json'
  const { secretId, secretKey } = emulator
  const signed = { secretId, secretKey, path: '/pull_log', topicId, host, contentType, unixSeconds: nowSeconds() }
  // The SDK's signature ends with a space.
  const Authorization = `${signQ(signed)} `
  const headers = { Host: host, 'User-Agent': SDK_AGENT, ...REQUESTS, 'Content-Type': contentType, Authorization }
  return post(emulator.endpoint, `/pull_log?topic_id=${topicId}`, headers, body)
}

function responseIn({ status, body }: HttpAnswer): Json {
  assert.equal(status, 200)
  return at(parseJson(body.toString()), 'Response')
}

function pulled({ status, body }: HttpAnswer): Pick<Pulled, 'ids' | 'nextOffset'> {
  assert.equal(status, 200, body.toString())
  const { ids, nextOffset } = readPull(body, 'snappy')
  return { ids, nextOffset }
}

/** What an answer of the control plane says beside its request id. */
function granted(answer: HttpAnswer): Record<string, Json> {
  const response = responseIn(answer)
  assert.ok(isRecord(response) && response.Error === undefined, answer.body.toString())
  const { RequestId: _, ...fields } = response
  return fields
}

for (const region of ['ap-guangzhou', '']) {
  const title = region === '' ? 'without a region' : 'with a region'
  test(`a consumer of the Python SDK lives through a session, ${title}`, BOUNDED, async () => {
    const [topicId = ''] = region === '' ? topics.slice(0, 1) : topics.slice(1, 2)
    const client = { host: '127.0.0.1', region }
    const { logsetId } = emulator
    await upload(topicId, ['a', 'b'], 0)
    const ask = (action: string, body: string) => control(action, body, client)
    const group = `python${region}`
    const names = `"ConsumerGroup": "${group}", "Consumer": "${group}-A", "LogsetId": "${logsetId}"`

    const create = `{"ConsumerGroup": "${group}", "Timeout": 6, "Topics": ["${topicId}"], "LogsetId": "${logsetId}"}`
    granted(await ask('CreateConsumerGroup', create))
    const again = at(responseIn(await ask('CreateConsumerGroup', create)), 'Error')
    assert.match(String(at(again, 'Message')), /consumer group already exists/)
    const modify = `{"Topics": ["${topicId}"], "Timeout": 40, "LogsetId": "${logsetId}", "ConsumerGroup": "${group}"}`
    granted(await ask('ModifyConsumerGroup', modify))

    const beat = async (partitions: string): Promise<Json[]> => {
      const held = `[{"TopicID": "${topicId}", "Partitions": ${partitions}}]`
      const body = `{${names}, "TopicPartitionsInfo": ${held}, "PartitionStrategy": 2}`
      return listAt(granted(await ask('SendConsumerHeartbeat', body)), 'TopicPartitionsInfo')
    }
    const both = [{ TopicID: topicId, Partitions: [0, 1] }]
    assert.deepEqual(await beat('[]'), both)
    assert.deepEqual(await beat('[0, 1]'), both)

    const from = `"PartitionId": "0", "LogsetId": "${logsetId}", "From": "begin"`
    const position = async () => {
      const body = `{"ConsumerGroup": "${group}", "TopicId": "${topicId}", ${from}}`
      const [info] = listAt(granted(await ask('DescribeConsumerOffsets', body)), 'TopicPartitionOffsetsInfo')
      return listAt(info, 'PartitionOffsets')
    }
    assert.deepEqual(await position(), [{ PartitionId: 0, Offset: Number(START) }])

    const pullFrom = async (offset: string) => {
      const rest = '"StartTime": 0, "Size": 1048576, "CompressType": "snappy", "PartitionId": 0'
      return pulled(await pull(topicId, `{"StartOffset": ${offset}, ${rest}}`, client))
    }
    const first = { ids: ['a', 'b'], nextOffset: START + 2n }
    assert.deepEqual(await pullFrom('-1'), first, 'the beginning')
    assert.deepEqual(await pullFrom(String(START)), first)
    assert.deepEqual(await pullFrom('1002'), { ids: [], nextOffset: START + 2n })

    const offset = `[{"TopicID": "${topicId}", "PartitionOffsets": [{"PartitionId": 0, "Offset": 1002}]}]`
    granted(await ask('CommitConsumerOffsets', `{"TopicPartitionOffsetsInfo": ${offset}, ${names}}`))
    assert.deepEqual(await position(), [{ PartitionId: 0, Offset: 1002 }])
  })
}

test(
  'a consumer of the Go SDK pulls with an empty Query and an EndTime of 0, which bounds nothing',
  BOUNDED,
  async () => {
    const [, , topicId = ''] = topics
    await upload(topicId, ['x', 'y'], 0)
    const host = new URL(emulator.endpoint).host
    const pullFrom = async (offset: bigint, startTime: number) => {
      const times = `"PartitionId":0,"StartTime":${startTime},"EndTime":0,"Query":""`
      const body = `{"StartOffset":${offset},"Size":1048576,"CompressType":"snappy",${times}}`
      return pulled(await pull(topicId, body, { host }))
    }
    const all = { ids: ['x', 'y'], nextOffset: START + 2n }
    assert.deepEqual(await pullFrom(-1n, 0), all)
    assert.deepEqual(await pullFrom(-1n, nowSeconds() - 60), all)
    // A bounded pull would end here, with -1; and stay ended when more comes.
    assert.deepEqual(await pullFrom(START + 2n, nowSeconds() - 60), { ids: [], nextOffset: START + 2n })
    await upload(topicId, ['z'], 0)
    assert.deepEqual(await pullFrom(START + 2n, nowSeconds() - 60), { ids: ['z'], nextOffset: START + 3n })
  }
)

test(
  'a consumer of the Go SDK leaves a partition out while it still works on it: it pulls on, and commits no more',
  BOUNDED,
  async () => {
    const [, , , topicId = ''] = topics
    await upload(topicId, ['p'], 0)
    await upload(topicId, ['q'], 1)
    const { logsetId } = emulator
    const client = { host: '127.0.0.1', region: emulator.region }
    const ask = (action: string, body: string) => control(action, body, client)
    const names = (consumer: string): string => `"ConsumerGroup":"go","Consumer":"${consumer}","LogsetId":"${logsetId}"`
    const beat = async (consumer: string, held: string): Promise<Json[]> => {
      const info = `[{"TopicID":"${topicId}","Partitions":${held}}]`
      const body = `{${names(consumer)},"TopicPartitionsInfo":${info},"PartitionStrategy":2}`
      const [first] = listAt(granted(await ask('SendConsumerHeartbeat', body)), 'TopicPartitionsInfo')
      return first === undefined ? [] : listAt(first, 'Partitions')
    }
    const commit = (consumer: string, partition: number, offset: number) => {
      const info = `[{"TopicID":"${topicId}","PartitionOffsets":[{"PartitionId":${partition},"Offset":${offset}}]}]`
      return ask('CommitConsumerOffsets', `{"TopicPartitionOffsetsInfo":${info},${names(consumer)}}`)
    }
    const create = `{"ConsumerGroup":"go","Timeout":60,"Topics":["${topicId}"],"LogsetId":"${logsetId}"}`
    granted(await ask('CreateConsumerGroup', create))

    assert.deepEqual(await beat('A', '[]'), [0, 1])
    assert.deepEqual(await beat('B', '[]'), [])
    const [kept = -1] = await beat('A', '[0,1]')
    const given = 1 - Number(kept)
    // A repeats what it was told last, and works on what it was not told of any more.
    assert.deepEqual(await beat('A', `[${kept}]`), [kept])
    assert.deepEqual(await beat('B', '[]'), [given])

    const late = `{"StartOffset":1000,"Size":1,"CompressType":"snappy","PartitionId":${given},"StartTime":0,"Query":""}`
    assert.deepEqual(pulled(await pull(topicId, late, client)), {
      ids: [given === 0 ? 'p' : 'q'],
      nextOffset: START + 1n
    })
    granted(await commit('B', given, 1001))
    const refused = at(responseIn(await commit('A', given, 1000)), 'Error')
    assert.equal(at(refused, 'Code'), 'OperationDenied')
    granted(await commit('A', Number(kept), 1000))
    const [group] = (await emulator.snapshot()).groups.filter(entry => entry.group === 'go')
    const committed = new Map(group?.partitions.map(entry => [entry.partition, entry.committedOffset]))
    assert.deepEqual([committed.get(given), committed.get(Number(kept))], [1001n, 1000n])
  }
)
