/**
 * The HTTP shell around the emulated service.
 *
 * In: sockets. Out: whole requests for `answerRequest`, and its answers as one write each. It knows no rule of the
 * service. The state outlives it: suspended, it refuses connections as a server that is down does, and resumed it
 * goes on where it was, on the same port.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { ClsConsumerError } from '../errors.ts'
import { answerRequest } from './answer.ts'
import { refused } from './data-plane.ts'
import type { WireAnswer, WireRequest } from './plane.ts'
import { Refusal } from './refusal.ts'
import type { EmulatorState } from './state.ts'

/** The service's largest upload is 6 MB before compression; this leaves room for one that has to be refused properly. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024
/** Longer than clients keep an idle connection, so that it is they who close it, between requests. */
const KEEP_ALIVE_MS = 120_000

export interface ServerWorld {
  /** The emulator's clock, Unix ms. */
  nowMs(): number
  newRequestId(): string
}

export class EmulatorServer {
  readonly #state: EmulatorState
  readonly #world: ServerWorld
  readonly #http: Server
  #port: number

  constructor(state: EmulatorState, world: ServerWorld) {
    this.#state = state
    this.#world = world
    this.#port = state.settings.port
    this.#http = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) =>
      this.#serve(request, response)
    )
  }

  /** 0 before the first `listen`, where any port will do. */
  get port(): number {
    return this.#port
  }

  /**
   * Opens the port; a second time the same one.
   * @throws ClsConsumerError EMULATOR_NOT_STARTED.
   */
  async listen(): Promise<void> {
    const { host } = this.#state.settings
    if (this.#http.listening) return
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error): void => {
        const message = `the emulator cannot listen on ${host}:${this.#port}: ${cause.message}`
        reject(new ClsConsumerError('EMULATOR_NOT_STARTED', message, { cause }))
      }
      this.#http.once('error', fail)
      this.#http.listen(this.#port, host, () => {
        this.#http.off('error', fail)
        resolve()
      })
    })
    const address = this.#http.address()
    if (typeof address === 'object' && address !== null) this.#port = address.port
  }

  /** Closes the port and cuts every connection, also those with an answer under way. */
  async suspend(): Promise<void> {
    if (!this.#http.listening) return
    const closed = new Promise<void>(resolve => this.#http.close(() => resolve()))
    this.#http.closeAllConnections()
    await closed
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Uint8Array[] = []
    let bytes = 0
    request.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length
      // Read to its end all the same: a client that is still writing would not see the answer.
      if (bytes <= REQUEST_BYTES_MAX) chunks.push(chunk)
    })
    request.on('end', () => this.#send(response, this.#answer(request, chunks, bytes)))
    // A client that goes away is no fault of the server: there is nobody left to answer.
    request.on('error', () => response.destroy())
  }

  #answer(request: IncomingMessage, chunks: readonly Uint8Array[], bytes: number): WireAnswer {
    if (bytes > REQUEST_BYTES_MAX) {
      return refused(new Refusal('LogSizeExceed', `the body has more than ${REQUEST_BYTES_MAX} bytes`, 413))
    }
    try {
      const wireRequest = toWireRequest(request, Buffer.concat(chunks, bytes), this.#world.newRequestId())
      return answerRequest(wireRequest, this.#state, this.#world.nowMs())
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return refused(new Refusal('InternalError', `a fault of the emulator: ${message}`, 500))
    }
  }

  #send(response: ServerResponse, { status, headers, body }: WireAnswer): void {
    // The emulator's clock, not the host's: clients measure their skew by this header.
    const date = new Date(this.#world.nowMs()).toUTCString()
    response.writeHead(status, { date, 'content-length': body.length, ...headers })
    response.end(body)
  }
}

function toWireRequest({ method, url, headers }: IncomingMessage, body: Buffer, requestId: string): WireRequest {
  const target = url ?? '/'
  const mark = target.indexOf('?')
  const flat = Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value])
  return {
    method: method ?? 'GET',
    path: mark === -1 ? target : target.slice(0, mark),
    query: mark === -1 ? '' : target.slice(mark + 1),
    headers: Object.fromEntries(flat),
    body,
    requestId
  }
}
