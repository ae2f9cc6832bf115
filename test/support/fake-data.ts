/** A `DataApi` whose responses arrive in pieces, when the test says so. */
import assert from 'node:assert/strict'
import { errorCodeOf } from '../../src/cls/answer.ts'
import { compress } from '../../src/cls/compression.ts'
import { type ClsConsumerError, fromFailure, toFailure } from '../../src/errors.ts'
import type { Compression, DataApi, Harvest, PulledBody, PullProgress, PullRequest, Scout } from '../../src/world.ts'
import { Calls } from './calls.ts'

export interface AskedPull extends PullRequest {
  readonly signal: AbortSignal
  readonly onProgress: ((progress: PullProgress) => void) | undefined
}

export interface FakePull {
  readonly request: PullRequest
  readonly isAborted: boolean
  /** The first bytes have arrived; all of them where no count is given. */
  arrive(text: string, byteCount?: number, compression?: Compression): void
  /** The response is complete. */
  complete(text: string, compression?: Compression): Promise<void>
  completeWith(body: PulledBody): Promise<void>
  fail(error: unknown): Promise<void>
}

export interface FakeData {
  readonly api: DataApi
  /** What was given to `heed`, in order. It comes back under the code of its `serviceCode`, as in the real world. */
  readonly heeded: ClsConsumerError[]
  /** Start offsets of the pulls that `worked` was told of, in order. */
  readonly worked: bigint[]
  /** Bodies that nobody reads any more, in order. */
  readonly freed: PulledBody[]
  /** Every pull so far. */
  readonly pulls: FakePull[]
  /** Start offsets of the pulls that nobody has answered or aborted. */
  readonly openOffsets: bigint[]
  /** The open pull from this offset. */
  from(offset: bigint): FakePull
}

export function createFakeData(): FakeData {
  const calls = new Calls<AskedPull, PulledBody>()
  const pulls: FakePull[] = []
  const heeded: ClsConsumerError[] = []
  const worked: bigint[] = []
  const freed: PulledBody[] = []
  const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  const api: DataApi = {
    heed(error) {
      heeded.push(error)
      const { serviceCode } = error.place
      if (serviceCode === undefined) return error
      return fromFailure({ ...toFailure(error, error.code), code: errorCodeOf(serviceCode, 200) })
    },
    worked({ startOffset }) {
      worked.push(startOffset)
    },
    free(body) {
      assert.ok(!freed.includes(body), 'I5: a body is freed once')
      freed.push(body)
    },
    pull(request, { signal, onProgress }) {
      const promise = calls.make({ ...request, signal, onProgress }, signal)
      const call = calls.all.at(-1)
      assert.ok(call !== undefined)
      pulls.push({
        request,
        get isAborted() {
          return signal.aborted
        },
        arrive(text, byteCount, compression = 'snappy') {
          const body = compress(Buffer.from(text), compression)
          onProgress?.({ received: body.subarray(0, byteCount ?? body.length), compression })
        },
        complete(text, compression = 'snappy') {
          return this.completeWith(bodyOf(text, compression))
        },
        completeWith(body) {
          call.answer(body)
          return settled()
        },
        fail(error) {
          call.refuse(error)
          return settled()
        }
      })
      return promise
    }
  }
  const isOpen = (_: FakePull, index: number): boolean => calls.all[index]?.isOpen === true
  return {
    api,
    heeded,
    worked,
    freed,
    pulls,
    get openOffsets() {
      return pulls.filter(isOpen).map(({ request }) => request.startOffset)
    },
    from(offset) {
      const found = pulls.filter(isOpen).filter(({ request }) => request.startOffset === offset)
      const [pull, ...others] = found
      assert.ok(pull !== undefined && others.length === 0, `${found.length} pulls are open from ${offset}`)
      return pull
    }
  }
}

export interface FakeScout {
  readonly api: Scout
  /** Every body it was asked about; the test answers. Without an answer it stays silent, as a scout may. */
  readonly calls: Calls<PulledBody, bigint | undefined>
  /** Every body whose messages were asked for. */
  readonly harvests: Calls<PulledBody, Harvest>
}

export function createFakeScout(): FakeScout {
  const calls = new Calls<PulledBody, bigint | undefined>()
  const harvests = new Calls<PulledBody, Harvest>()
  return { api: { nextOffset: body => calls.make(body), harvest: body => harvests.make(body) }, calls, harvests }
}

export function bodyOf(text: string, compression: Compression = 'snappy'): PulledBody {
  const compressed = compress(Buffer.from(text), compression)
  const bytes = new SharedArrayBuffer(compressed.length)
  new Uint8Array(bytes).set(compressed)
  return { bytes, byteCount: compressed.length, compression, requestId: 'r' }
}

/** Random enough that no compressor makes it small: longer than what a peek looks at, in any case. */
const LONG = Array.from({ length: 400 }, (_, index) => Buffer.from(`${(index * 7919) % 10_007}`).toString('base64'))
const LIST = JSON.stringify(LONG)

/** With messages, `NextOffset` in front. */
export function withMessages(nextOffset: bigint | undefined): string {
  return `{"Response":{${nextOffset === undefined ? '' : `"NextOffset":${nextOffset},`}"Message":${LIST},"RequestId":"r"}}`
}

/** With messages, `NextOffset` behind them: only the worker finds it. */
export function withLateOffset(nextOffset: bigint): string {
  return `{"Response":{"Message":${LIST},"NextOffset":${nextOffset},"RequestId":"r"}}`
}

export function withoutMessages(nextOffset: bigint | undefined): string {
  return `{"Response":{${nextOffset === undefined ? '' : `"NextOffset":${nextOffset},`}"Message":[],"RequestId":"r"}}`
}

/** A whole small response with messages. */
export function withFewMessages(nextOffset: bigint | undefined): string {
  return `{"Response":{${nextOffset === undefined ? '' : `"NextOffset":${nextOffset},`}"Message":["QQ=="]}}`
}

/** `NextOffset` stands twice: a lie in front, and the one that counts behind the messages. */
export function withLie(lie: bigint, nextOffset: bigint, messages: 'many' | 'few' | 'none' = 'many'): string {
  const list = { many: LIST, few: '["QQ=="]', none: '[]' }[messages]
  return `{"Response":{"NextOffset":${lie},"Message":${list},"RequestId":"r","NextOffset":${nextOffset}}}`
}

export function withError(code: string, message = 'no'): string {
  return `{"Response":{"Error":{"Code":"${code}","Message":"${message}"},"RequestId":"r"}}`
}
