/**
 * A service whose other end is a scripted server, closed after each test.
 */
import { afterEach } from 'node:test'
import { createService, type ServiceSettings } from '../../src/cls/service.ts'
import { realClock, realTimers } from '../../src/real-world.ts'
import type { Clock, PullRequest } from '../../src/world.ts'
import { chance, createKeptLog } from './fakes.ts'
import { type Received, type Scripted, startServer } from './scripted-server.ts'

/** For every test with a real socket. */
export const LIMIT = { timeout: 20_000 }
export const CREDENTIALS = { secretId: 'id', secretKey: 'a-secret-key' }
export const PULL: PullRequest = { topicId: 't*1', partition: 3, startOffset: 2n ** 53n + 1n, sizeBytes: 2_097_152 }

let open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.reverse()) await close()
  open = []
})

/** With `luck` 0, nothing waits before a retry; with 0.99 the first wait is 198 ms. */
export async function setUpService(
  answer: (request: Received, index: number) => Scripted,
  settings: Partial<ServiceSettings> = {},
  { clock = realClock, luck = 0 }: { readonly clock?: Clock; readonly luck?: number } = {}
) {
  const server = await startServer(answer)
  const log = createKeptLog()
  const given: ServiceSettings = {
    endpoint: server.origin,
    region: 'ap-guangzhou',
    network: 'public',
    credentials: CREDENTIALS,
    logsetId: 'logset-1',
    bodyBytesMax: 1024 * 1024,
    requestTimeoutMs: 5000,
    callTimeoutMs: 10_000,
    ...settings
  }
  const service = createService(given, { clock, timers: realTimers, random: chance(luck), log })
  open.push(server.close, service.close)
  const pull = (change: Partial<PullRequest> = {}, signal: AbortSignal = new AbortController().signal) =>
    service.data.pull({ ...PULL, ...change }, { signal })
  return {
    server,
    log,
    service,
    control: service.control,
    pull,
    /** A pull whose response is read, as a pull chain does: it holds no refusal. */
    read: async (change: Partial<PullRequest> = {}) => {
      await pull(change)
      service.data.worked({ ...PULL, ...change })
    },
    /** The body of the n-th request, parsed. */
    body: (index: number) => JSON.parse(server.received[index]?.body ?? '')
  }
}
