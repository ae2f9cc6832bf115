/**
 * The only sockets of the client: undici, behind an interface small enough to be faked.
 *
 * In: one request. Out: one answer, whatever its status, or API_UNREACHABLE (no whole answer), API_TIMEOUT,
 * BODY_TOO_LARGE, or the reason of the caller's signal. Must never happen: a retry (the caller signs anew for that),
 * a truncated body passed on as a whole one, or a wait without a limit: connecting, the first byte and silence within a
 * body are each limited here, the whole by the caller's signal.
 */
import { Socket } from 'node:net'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { assert, ClsConsumerError, type ErrorPlace } from '../errors.ts'
import type { Answer } from './answer.ts'
import { ErrorBody, SharedBody } from './bodies.ts'
import { ReadPieces } from './read-pieces.ts'
import { type BodyMemory, freshMemory } from './slabs.ts'

export interface HttpRequest {
  readonly origin: string
  /** With the query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  readonly signal: AbortSignal
  /**
   * Runs right before the first byte leaves: where it never ran, nothing of the request has reached anyone. What it throws
   * ends the exchange, and nothing leaves.
   */
  readonly onSend?: () => void
  readonly place: ErrorPlace
  /** A 200 with a larger body is refused as soon as its length says so, or its bytes do. */
  readonly bodyBytesMax: number
}

/** The body of a 200 is the first `byteCount` of `bytes`; that of any other status (cut where very long) is in `body`. */
export interface SharedAnswer extends Answer {
  readonly bytes: SharedArrayBuffer
  readonly byteCount: number
}

/** Runs with each chunk of a 200, but for one that is known to be the last; `received` starts at the body's first byte, and must not be kept. */
export type OnReceived = (received: Uint8Array, headers: ReadonlyMap<string, string>) => void

export interface Http {
  /** POST, for small answers. */
  request(request: HttpRequest): Promise<Answer>
  /** POST; the body of a 200 is written into shared memory as it arrives. On connections of its own. */
  pull(request: HttpRequest, onReceived?: OnReceived): Promise<SharedAnswer>
  /** The `bytes` of a pull's answer go to a later one: nobody reads them from here on. Once for each answer. */
  free(bytes: SharedArrayBuffer): void
  /** Breaks what is under way (API_UNREACHABLE) and closes all connections. */
  close(): Promise<void>
}

/**
 * Per host. Pulls have a pool of their own, so that a heartbeat never queues behind them; more pulls than this queue,
 * each within its own deadline.
 */
const PULL_CONNECTIONS_MAX = 512
const CONTROL_CONNECTIONS_MAX = 64

const TIMEOUT_CODES: readonly unknown[] = [
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT'
]

export interface HttpOptions {
  readonly requestTimeoutMs: number
  /** For the bodies of pulls. */
  readonly memory?: BodyMemory | undefined
}

export function createHttp({ requestTimeoutMs, memory = freshMemory }: HttpOptions): Http {
  const agent = (connections: number) =>
    new Agent({
      connections,
      pipelining: 1, // one request at a time on a connection; 0 would switch keep-alive off
      connect: connectReusing(requestTimeoutMs),
      headersTimeout: requestTimeoutMs,
      bodyTimeout: requestTimeoutMs
    })
  const control = agent(CONTROL_CONNECTIONS_MAX)
  const pulls = agent(PULL_CONNECTIONS_MAX)
  return {
    async request(request) {
      const { status, headers, body, bytes, byteCount } = await exchange(control, request, freshMemory)
      return { status, headers, body: status === 200 ? new Uint8Array(bytes, 0, byteCount) : body }
    },
    pull: (request, onReceived) => exchange(pulls, request, memory, onReceived),
    free(bytes) {
      if (bytes !== NO_BYTES) memory.give(bytes)
    },
    async close() {
      await Promise.all([control.destroy(), pulls.destroy()])
    }
  }
}

/** Connections whose reads allocate nothing. `timeoutMs`: to connect. */
export function connectReusing(timeoutMs: number): buildConnector.connector {
  // Each connection has a connector of its own, so the last session of TLS is kept here.
  let session: Buffer | undefined
  return (options, callback) => {
    let socket: Socket | undefined
    const pieces = new ReadPieces(() => socket?.readableLength ?? 0)
    const connect = buildConnector({
      timeout: timeoutMs,
      ...(session === undefined ? {} : { session }),
      onread: {
        buffer: () => pieces.next(),
        callback: (byteCount, piece) => {
          pieces.filled(byteCount)
          return socket?.push(piece.subarray(0, byteCount)) !== false
        }
      }
    })
    // Its type does not say so, but it returns the socket, and nothing is read before.
    const made: unknown = connect(options, callback)
    assert(made instanceof Socket, 'a connector returns its socket')
    socket = made
    socket.on('session', (latest: Buffer) => {
      session = latest
    })
    return socket
  }
}

/** Of an answer that is not a 200. */
const NO_BYTES = new SharedArrayBuffer(0)

function exchange(
  agent: Agent,
  request: HttpRequest,
  memory: BodyMemory,
  onReceived?: OnReceived
): Promise<SharedAnswer> {
  const { origin, path, headers, body, signal } = request
  if (signal.aborted) return Promise.reject(signal.reason)
  return new Promise((resolve, reject) => {
    const receiver = new Receiver(request, memory, onReceived, {
      resolve(answer) {
        signal.removeEventListener('abort', onAbort)
        resolve(answer)
      },
      reject(error) {
        signal.removeEventListener('abort', onAbort)
        reject(error)
      }
    })
    const onAbort = () => receiver.fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    // What undici dislikes, such as a header that HTTP cannot carry, comes by `onResponseError` as well.
    agent.dispatch({ origin, path, method: 'POST', headers, body }, receiver)
  })
}

interface Settle {
  resolve(answer: SharedAnswer): void
  reject(error: unknown): void
}

/** Takes one answer from undici. `waiting` has no connection yet; once `settled`, whatever comes is ignored. */
class Receiver implements Dispatcher.DispatchHandler {
  #phase: 'waiting' | 'receiving' | 'settled' = 'waiting'
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: ReadonlyMap<string, string> = new Map()
  #shared: SharedBody | undefined
  #contentLength: number | undefined
  readonly #errorBody = new ErrorBody()
  readonly #request: HttpRequest
  readonly #memory: BodyMemory
  readonly #onReceived: OnReceived | undefined
  readonly #settle: Settle

  constructor(request: HttpRequest, memory: BodyMemory, onReceived: OnReceived | undefined, settle: Settle) {
    this.#request = request
    this.#memory = memory
    this.#onReceived = onReceived
    this.#settle = settle
  }

  /** Ends the exchange at once; a connection that is in use for it is closed. */
  fail(error: unknown): void {
    if (this.#phase === 'settled') return
    this.#phase = 'settled'
    this.#shared?.drop()
    this.#settle.reject(error)
    this.#controller?.abort(new Error('the exchange has ended'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Queued for a connection; aborted; a connection comes free → the request must not be sent.
    if (this.#phase === 'settled') controller.abort(new Error('the exchange has ended'))
    else {
      this.#phase = 'receiving'
      this.#guard(() => this.#request.onSend?.())
    }
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>
  ): void {
    if (this.#phase === 'settled' || status < 200) return // 1xx comes before the answer
    this.#status = status
    this.#headers = toMap(headers)
    if (status === 200) this.#guard(() => this.#openShared())
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#phase === 'settled') return
    const shared = this.#shared
    if (shared === undefined) {
      if (this.#errorBody.write(chunk) === 'full') this.#succeed('cut')
      return
    }
    this.#guard(() => {
      shared.write(chunk)
      if (shared.byteCount !== this.#contentLength) this.#onReceived?.(shared.received, this.#headers)
    })
  }

  onResponseEnd(): void {
    if (this.#phase !== 'settled') this.#succeed('whole')
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(transportError(error, this.#request.place))
  }

  #openShared(): void {
    const { bodyBytesMax, place } = this.#request
    const length = this.#headers.get('content-length')
    this.#contentLength = length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined
    this.#shared = new SharedBody(this.#memory, this.#contentLength, bodyBytesMax, { ...place, httpStatus: 200 })
  }

  #succeed(body: 'whole' | 'cut'): void {
    this.#phase = 'settled'
    const { bytes, byteCount } = this.#shared?.take() ?? { bytes: NO_BYTES, byteCount: 0 }
    this.#settle.resolve({
      status: this.#status,
      headers: this.#headers,
      body: this.#errorBody.take(),
      bytes,
      byteCount
    })
    if (body === 'cut') this.#controller?.abort(new Error('no more of the error page is needed'))
  }

  #guard(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.fail(error)
    }
  }
}

/** Names in lower case. */
function toMap(headers: Readonly<Record<string, string | string[] | undefined>>): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) map.set(name.toLowerCase(), String(value))
  }
  return map
}

/** A fault on the way, as one of our errors. Those of undici and the system hold no header, and so no secret. */
function transportError(error: unknown, place: ErrorPlace): ClsConsumerError {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const words = error instanceof Error ? error.message : String(error)
  const reason = [code, words].filter(part => part !== undefined && part !== '').join(': ')
  if (TIMEOUT_CODES.includes(code)) {
    return new ClsConsumerError('API_TIMEOUT', `the service did not answer in time: ${reason}`, {
      ...place,
      cause: error
    })
  }
  return new ClsConsumerError('API_UNREACHABLE', `no whole answer from the service: ${reason}`, {
    ...place,
    cause: error
  })
}
