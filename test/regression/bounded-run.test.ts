/** A bounded run must not end while a member of the group that died has left partitions behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createService } from '../../src/cls/service.ts'
import { Consumer } from '../../src/consumer.ts'
import { startEmulator } from '../../src/emulator/start.ts'
import { realClock, realRandom, realTimers } from '../../src/real-world.ts'
import { createKeptLog } from '../cls/fakes.ts'

const PARTITION_COUNT = 4
const GROUP = 'bounded'

test('I1: a bounded run reads what a member that died had left unread', { timeout: 60_000 }, async () => {
  const emulator = await startEmulator({ topicCount: 1, partitionCount: PARTITION_COUNT })
  const [topicId = ''] = emulator.topicIds
  const { endpoint, region, logsetId, secretId, secretKey } = emulator
  const credentials = { secretId, secretKey }
  const log = createKeptLog()
  const service = createService(
    {
      endpoint,
      region,
      network: 'public',
      credentials,
      logsetId,
      bodyBytesMax: 1e6,
      requestTimeoutMs: 5000,
      callTimeoutMs: 10_000
    },
    { clock: realClock, timers: realTimers, random: realRandom, log }
  )
  try {
    const { control, upload } = service
    for (let partition = 0; partition < PARTITION_COUNT; partition++) {
      const hashKey = `${(partition * 4).toString(16)}${'0'.repeat(31)}`
      const logs = [{ time: 1n, contents: [{ key: 'id', value: `${partition}` }] }]
      await upload.upload({ topicId, hashKey, groups: [{ logs, logTags: [] }] })
    }
    await control.createConsumerGroup({ group: GROUP, timeoutSeconds: 2, topicIds: [topicId] })
    const beat = (partitions: readonly number[]) =>
      control.sendConsumerHeartbeat({ group: GROUP, consumer: 'dead', held: [{ topicId, partitions }] })
    assert.deepEqual((await beat([])).flatMap(({ partitions }) => partitions).length, PARTITION_COUNT)

    const consumer = new Consumer(
      {
        endpoint,
        credentials,
        logsetId,
        topicIds: [topicId],
        group: GROUP,
        processor: fileURLToPath(new URL('../../workers/processors/count.js', import.meta.url)),
        startFrom: 'begin',
        stopAt: 'now',
        heartbeatIntervalMs: 1000,
        threads: 1
      },
      { log }
    )
    await consumer.start()
    // It gives up what it is to give up, and falls silent with the rest in hand.
    const kept = (await beat([0, 1, 2, 3])).flatMap(({ partitions }) => partitions)
    assert.equal(kept.length, 2)
    await beat(kept)
    await consumer.finished
    const offsets = (from: 'begin' | 'end', own: boolean) =>
      control.describeConsumerOffsets({ group: GROUP, topicId, from, own })
    assert.deepEqual(await offsets('begin', false), await offsets('end', true))
    assert.equal(consumer.snapshot().logCount, PARTITION_COUNT)
  } finally {
    await service.close()
    await emulator.stop()
  }
})
