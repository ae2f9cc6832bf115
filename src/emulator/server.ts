/**
 * The HTTP shell around the emulated service.
 *
 * In: sockets. Out: whole requests for the service or its admin endpoint, and their answers as one write each, unless a
 * fault has it otherwise: delays and cut connections are made here and nowhere else. It knows no rule of the service.
 * The state outlives it: suspended, it refuses connections as a server that is down does, and resumed it goes on where
 * it was, on the same port.
 *
 * A delay is a timer of its own, so that other requests go on. What waits to take effect does so even where its client
 * has gone meanwhile: a commit that timed out at the client may still be executed later, and a client has to live with
 * it. Suspending ends the waiting: what a server has not done before it went down, it never does.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { ClsConsumerError } from '../errors.ts'
import { answerAdmin, isAdmin } from './admin.ts'
import { refused } from './data-plane.ts'
import { type Delivery, deliver } from './fault-answers.ts'
import { UNSTRUCK } from './faults.ts'
import type { WireAnswer, WireRequest } from './plane.ts'
import { Refusal } from './refusal.ts'
import { describeRequest } from './request-description.ts'
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
  /** Of requests and answers that a fault delays. */
  readonly #delays = new Set<NodeJS.Timeout>()
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

  /** Closes the port and cuts every connection, also those with an answer under way; ends what is being delayed. */
  async suspend(): Promise<void> {
    for (const delay of this.#delays) clearTimeout(delay)
    this.#delays.clear()
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
    request.on('end', () => {
      if (bytes > REQUEST_BYTES_MAX) return this.#send(response, whole(tooLarge()))
      const body = Buffer.concat(chunks, bytes)
      this.#take(toWireRequest(request, body, this.#world.newRequestId()), response)
    })
    // A client that goes away is no fault of the server: there is nobody left to answer.
    request.on('error', () => response.destroy())
  }

  #take(request: WireRequest, response: ServerResponse): void {
    const state = this.#state
    if (isAdmin(request)) {
      const delivery = this.#guarded(nowMs => whole(answerAdmin(request, state, nowMs)))
      this.#send(response, delivery)
      return
    }
    const { beforeMs, afterMs, fault } = state.faults.isEmpty
      ? UNSTRUCK
      : state.faults.strike(describeRequest(request, state))
    this.#after(beforeMs, () => {
      const delivery = this.#guarded(nowMs => deliver(request, state, nowMs, fault))
      this.#after(afterMs, () => this.#send(response, delivery))
    })
  }

  /** At once where there is nothing to wait for. */
  #after(delayMs: number, next: () => void): void {
    if (delayMs === 0) {
      next()
      return
    }
    const delay = setTimeout(() => {
      this.#delays.delete(delay)
      next()
    }, delayMs)
    this.#delays.add(delay)
  }

  #guarded(make: (nowMs: number) => Delivery): Delivery {
    try {
      return make(this.#world.nowMs())
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return whole(refused(new Refusal('InternalError', `a fault of the emulator: ${message}`, 500)))
    }
  }

  #send(response: ServerResponse, delivery: Delivery): void {
    // The request's: a response that has to wait for its turn has none.
    const { socket } = response.req
    if (delivery.kind === 'nothing') {
      socket.destroy()
      return
    }
    const { answer } = delivery
    // The emulator's clock, not the host's: clients measure their skew by this header.
    const date = new Date(this.#world.nowMs()).toUTCString()
    // An answer that is cut has something missing, also where its body is empty.
    const contentLength = delivery.kind === 'cut' ? Math.max(1, answer.body.length) : answer.body.length
    response.writeHead(answer.status, { date, 'content-length': contentLength, ...answer.headers })
    if (delivery.kind === 'whole') {
      response.end(answer.body)
      return
    }
    response.flushHeaders()
    if (delivery.bodyBytes > 0) response.write(answer.body.subarray(0, delivery.bodyBytes))
    // Once all of that is on its way: a client that is still sent something must get it.
    socket.destroySoon()
  }
}

function whole(answer: WireAnswer): Delivery {
  return { kind: 'whole', answer }
}

function tooLarge(): WireAnswer {
  return refused(new Refusal('LogSizeExceed', `the body has more than ${REQUEST_BYTES_MAX} bytes`, 413))
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
