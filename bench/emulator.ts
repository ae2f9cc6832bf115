/**
 * How fast the emulator hands out bodies to one client: the ceiling of every end-to-end benchmark that uses it.
 *
 * In: nothing. Out: one line with compressed MB/s over loopback, and its context. The bodies come from the emulator's
 * cache; the client reads and forgets them. Runs by hand: `npm run bench -- emulator`.
 */
import { randomBytes } from 'node:crypto'
import { Agent, request } from 'node:http'
import { cpus } from 'node:os'
import { encodeLogGroupList } from '../src/cls/log-group.ts'
import { signQ } from '../src/cls/sign-q.ts'
import { type EmulatorHandle, startEmulator } from '../src/emulator/start.ts'

const PULL_BYTES = 2 * 1024 * 1024
const CONNECTIONS = 4
const MEASURE_MS = 5000
const BODY_COUNT = 32
const LOG_BYTES = 1000
const LOGS_PER_GROUP = 200

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const emulator = await startEmulator({ process: 'child', topicCount: 1, partitionCount: 1 })
try {
  await fill(emulator)
  const offsets = await bodyOffsets(emulator)
  for (const offset of offsets) await pull(emulator, offset)
  const { bytes, pulls, ms } = await measure(emulator, offsets)
  const perSecond = Math.round(bytes / 1000 / ms)
  const perBody = Math.round(bytes / pulls / 1024)
  const context = `${CONNECTIONS} connections, bodies of ${perBody} KiB, ${cpus()[0]?.model ?? 'unknown CPU'}, Node ${process.version}`
  process.stdout.write(`${perSecond} MB/s compressed, ${Math.round((pulls * 1000) / ms)} pulls/s (${context})\n`)
} finally {
  agent.destroy()
  await emulator.stop()
}

/** A third of it random and the rest text that repeats: a body is then about 1 MB, as those of access logs are. */
async function fill(target: EmulatorHandle): Promise<void> {
  const groupCount = Math.ceil((BODY_COUNT * PULL_BYTES) / (LOG_BYTES * LOGS_PER_GROUP))
  for (let group = 0; group < groupCount; group++) {
    const logs = Array.from({ length: LOGS_PER_GROUP }, () => {
      const value = randomBytes(LOG_BYTES / 4).toString('base64') + 'GET /index.html 200 '.repeat(LOG_BYTES / 30)
      return { time: 1n, contents: [{ key: 'line', value }] }
    })
    await post(target, '/structuredlog', 'application/x-protobuf', encodeLogGroupList([{ logs, logTags: [] }]))
  }
}

async function bodyOffsets(target: EmulatorHandle): Promise<bigint[]> {
  const [partition] = (await target.snapshot()).topics[0]?.partitions ?? []
  const messagesPerBody = Math.max(1, Math.floor(PULL_BYTES / (LOG_BYTES * LOGS_PER_GROUP)))
  const count = Math.floor((partition?.messageCount ?? 0) / messagesPerBody)
  return Array.from({ length: count }, (_, index) => BigInt(index * messagesPerBody))
}

async function measure(target: EmulatorHandle, offsets: readonly bigint[]) {
  const startedMs = performance.now()
  let [bytes, pulls] = [0, 0]
  const run = async (): Promise<void> => {
    while (performance.now() - startedMs < MEASURE_MS) {
      const offset = offsets[pulls++ % offsets.length] ?? 0n
      // In two steps: `bytes += await …` would read the sum before the wait, and lose what others added meanwhile.
      const bodyBytes = await pull(target, offset)
      bytes += bodyBytes
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, run))
  return { bytes, pulls, ms: performance.now() - startedMs }
}

function pull(target: EmulatorHandle, offset: bigint): Promise<number> {
  const body = `{"StartOffset":${offset},"Size":${PULL_BYTES},"CompressType":"snappy","PartitionId":0}`
  return post(target, '/pull_log', 'application/json', Buffer.from(body))
}

/** Resolves to the bytes of the answer. */
function post(target: EmulatorHandle, path: string, contentType: string, body: Uint8Array): Promise<number> {
  const { endpoint, secretId, secretKey, topicIds } = target
  const query = { topic_id: topicIds[0] ?? '' }
  const headers = { 'content-type': contentType, host: new URL(endpoint).host }
  const nowSeconds = Math.floor(Date.now() / 1000)
  const signed = { secretId, secretKey, method: 'POST', path, query, headers, nowSeconds, expireSeconds: 300 }
  return new Promise((resolve, reject) => {
    const call = request(
      `${endpoint}${path}?topic_id=${query.topic_id}`,
      { method: 'POST', agent, headers: { ...headers, 'content-length': body.length, authorization: signQ(signed) } },
      response => {
        let bytes = 0
        response.on('data', (chunk: Uint8Array) => {
          bytes += chunk.length
        })
        response.on('end', () => {
          if (response.statusCode === 200) resolve(bytes)
          else reject(new Error(`HTTP ${response.statusCode}`))
        })
        response.on('error', reject)
      }
    )
    call.on('error', reject)
    call.end(body)
  })
}
