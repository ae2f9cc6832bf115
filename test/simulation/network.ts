/**
 * The network of one process: HTTP without sockets, which loses, delays, repeats and damages.
 *
 * In: requests as the real control and data APIs send them. Out: answers of the service, or what undici would say. The
 * interface is that of `cls/http.ts`, so that everything above the socket is real: signatures, retries, deadlines, the
 * reading of answers. A request that its caller has given up goes its way all the same.
 */

import type { Http, HttpRequest, OnReceived, SharedAnswer } from '../../src/cls/http.ts'
import { isRecord, parseJson, printJson } from '../../src/cls/json.ts'
import type { WireAnswer, WireRequest } from '../../src/emulator/plane.ts'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import type { Dice } from '../fuzz/dice.ts'
import { type Asked, describeAsked, readAsked } from './asked.ts'
import type { Course, Place } from './course.ts'
import { drawFate, type Fate, isDoubtful, stuckOffset } from './fates.ts'
import type { Ledger } from './ledger.ts'
import type { Party } from './party.ts'
import type { Service } from './service.ts'
import { tellGap, withNextOffset } from './tamper.ts'

export interface NetworkParts {
  readonly course: Course
  readonly dice: Dice
  readonly service: Service
  readonly ledger: Ledger
  readonly party: Party
  readonly place: Place
  readonly trace: (where: string, what: string) => void
  readonly requestTimeoutMs: number
  /** One request in so many fares badly. */
  badOneIn(): number
  /** One pull in so many that meets a gap is told of it alone. */
  readonly gapOneIn: number
}

/** One request on its way, and what becomes of it. */
interface Exchange {
  readonly request: HttpRequest
  readonly wire: WireRequest
  readonly asked: Asked
  readonly fate: Fate
  readonly sentMs: number
  /** Its number among the heartbeats of its sender. */
  readonly beat: number
  readonly life: number
  readonly onReceived: OnReceived | undefined
  readonly settle: Settle
}

interface Settle {
  readonly isOpen: boolean
  resolve(answer: SharedAnswer): void
  reject(error: unknown): void
}

export class Network implements Http {
  readonly #parts: NetworkParts
  #requestCount = 0
  /** Kinds of which one call at most may be under way. */
  readonly #underway = new Set<Asked['kind']>()

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  async request(request: HttpRequest): Promise<SharedAnswer> {
    const answer = await this.#exchange(request, undefined)
    return answer.status === 200 ? { ...answer, body: new Uint8Array(answer.bytes) } : answer
  }

  pull(request: HttpRequest, onReceived?: OnReceived): Promise<SharedAnswer> {
    return this.#exchange(request, onReceived)
  }

  async close(): Promise<void> {}

  #exchange(request: HttpRequest, onReceived: OnReceived | undefined): Promise<SharedAnswer> {
    if (request.signal.aborted) return Promise.reject(request.signal.reason)
    const { course, dice, ledger, party, service, place, trace } = this.#parts
    this.#requestCount += 1
    const wire = toWire(request, `${party.name}-${this.#requestCount}`)
    const asked = readAsked(wire)
    const fate = drawFate(dice, asked.kind === 'pull', this.#parts.badOneIn())
    trace(
      place.name,
      `${wire.requestId} ${describeAsked(asked)}${fate.kind === 'well' ? '' : ` (${JSON.stringify(fate)})`}`
    )
    this.#checkAlone(asked)
    const beat = ledger.wire.sent(party, asked)
    if (isDoubtful(fate)) ledger.doubted(asked, `the fate of a commit: ${fate.kind}`)
    return new Promise((resolve, reject) => {
      const settle = settleOnce(request.signal, resolve, reject, () => this.#underway.delete(asked.kind))
      const times = { sentMs: course.nowMs, beat, life: service.life }
      this.#send({ request, wire, asked, fate, ...times, onReceived, settle })
    })
  }

  #checkAlone({ kind }: Asked): void {
    if (kind !== 'heartbeat' && kind !== 'commit') return
    const { ledger, party } = this.#parts
    if (this.#underway.has(kind)) ledger.findings.add('I8', `${party.name} sends a ${kind} while another is under way`)
    this.#underway.add(kind)
  }

  #send(exchange: Exchange): void {
    const { service } = this.#parts
    const { fate } = exchange
    if (fate.kind === 'refused-connection' || !service.isUp) {
      this.#fail(exchange, 'API_UNREACHABLE', 'no connection', this.#hopMs())
      return
    }
    if (fate.kind !== 'well') this.#fail(exchange, 'API_TIMEOUT', 'silence', this.#parts.requestTimeoutMs)
    if (fate.kind === 'lost') return
    const arrives = (delayMs: number, isRepeat: boolean): void => {
      const what = `${exchange.wire.requestId} ${isRepeat ? 'arrives again' : 'arrives'}`
      this.#parts.course.set({ where: service.place, what, delayMs, happen: () => this.#arrived(exchange, isRepeat) })
    }
    arrives(this.#hopMs() + (fate.kind === 'late' ? fate.lateMs : 0), false)
    if (fate.kind === 'twice') arrives(this.#hopMs() + fate.lateMs, true)
  }

  #arrived(exchange: Exchange, isRepeat: boolean): void {
    const { service, course, ledger, party } = this.#parts
    const { fate, asked, life, beat } = exchange
    if (!service.isUp || life !== service.life) {
      // The connection broke with the service.
      ledger.doubted(asked, 'the service went away')
      this.#fail(exchange, 'API_UNREACHABLE', 'the connection broke', this.#hopMs())
      return
    }
    if (fate.kind === 'busy') {
      this.#deliver(exchange, refusal(asked, fate.serviceCode), this.#hopMs(), -1)
      return
    }
    const executedStep = course.stepCount
    const answer = this.#answer(exchange)
    const isOld = asked.kind === 'heartbeat' && beat !== party.lastBeat
    ledger.wire.executed(asked, isRepeat || isOld || !exchange.settle.isOpen || this.#parts.place.isGone)
    if (isRepeat) return
    switch (fate.kind) {
      case 'deaf':
        if (fate.ending === 'break') this.#fail(exchange, 'API_UNREACHABLE', 'the connection broke', this.#hopMs())
        return
      case 'page':
        this.#deliver(exchange, page(fate.status), this.#hopMs(), -1)
        return
      case 'half':
        this.#receive(exchange, answer, Math.floor(answer.body.length / 2), this.#hopMs())
        this.#fail(exchange, 'API_UNREACHABLE', 'the connection broke within the body', course.nowMs === 0 ? 2 : 40)
        return
      case 'slow':
        this.#deliver(exchange, answer, fate.slowMs, executedStep)
        return
      default:
        if (answer.body.length > 1 && this.#parts.dice.oneIn(4))
          this.#receive(exchange, answer, 1 + this.#parts.dice.below(answer.body.length), 0)
        this.#deliver(exchange, answer, this.#hopMs(), executedStep)
    }
  }

  #answer({ wire, asked, fate }: Exchange): WireAnswer {
    const { service, ledger, dice, gapOneIn } = this.#parts
    const answer = service.answer(wire, fate.kind === 'flawed' ? fate.flaw : undefined)
    const stock = asked.kind === 'pull' ? ledger.stock.find(asked.at.key) : undefined
    if (asked.kind !== 'pull' || stock === undefined || answer.status !== 200) return answer
    if (fate.kind === 'stuck') return withNextOffset(answer, stuckOffset(fate.at, asked.at.offset), service.state)
    const gap = fate.kind === 'well' && dice.oneIn(gapOneIn) ? tellGap(stock, asked.at, service.state) : undefined
    return gap ?? answer
  }

  /** The first bytes of a body are there. */
  #receive(exchange: Exchange, answer: WireAnswer, byteCount: number, delayMs: number): void {
    const what = `${exchange.wire.requestId} has ${byteCount} bytes`
    this.#atHome(exchange, what, delayMs, () => {
      guard(exchange, () => exchange.onReceived?.(answer.body.slice(0, byteCount), this.#headersOf(answer)))
    })
  }

  /** `executedStep`: when the service dealt with it, if it did and this says so. */
  #deliver(exchange: Exchange, answer: WireAnswer, delayMs: number, executedStep: number): void {
    const { ledger, party } = this.#parts
    const { asked, sentMs, settle, wire, onReceived } = exchange
    this.#atHome(exchange, `${wire.requestId} is answered`, delayMs, () => {
      guard(exchange, () => {
        const headers = this.#headersOf(answer)
        if (answer.status === 200) onReceived?.(answer.body, headers)
        if (asked.kind === 'heartbeat') ledger.wire.heard(party, sentMs, executedStep, isGranted(answer))
        settle.resolve(toShared(answer, headers))
      })
    })
  }

  #fail(exchange: Exchange, code: ErrorCode, message: string, delayMs: number): void {
    this.#atHome(exchange, `${exchange.wire.requestId} fails: ${message}`, delayMs, () =>
      exchange.settle.reject(new ClsConsumerError(code, message, exchange.request.place))
    )
  }

  #atHome(exchange: Exchange, what: string, delayMs: number, act: () => void): void {
    const { course, place } = this.#parts
    const happen = (): void => {
      if (exchange.settle.isOpen) act()
    }
    course.set({ where: place, what, delayMs, queue: exchange, happen })
  }

  #headersOf({ headers }: WireAnswer): ReadonlyMap<string, string> {
    return new Map(Object.entries({ ...headers, date: new Date(this.#parts.service.nowMs()).toUTCString() }))
  }

  /** Mostly within a millisecond or two, so that much is due at once. */
  #hopMs(): number {
    const { dice } = this.#parts
    return dice.oneIn(10) ? dice.below(60) : dice.below(3)
  }
}

function settleOnce(
  signal: AbortSignal,
  resolve: (answer: SharedAnswer) => void,
  reject: (error: unknown) => void,
  ended: () => void
): Settle {
  let isOpen = true
  const once = (act: () => void): void => {
    if (!isOpen) return
    isOpen = false
    signal.removeEventListener('abort', onAbort)
    ended()
    act()
  }
  const onAbort = (): void => once(() => reject(signal.reason))
  signal.addEventListener('abort', onAbort, { once: true })
  return {
    get isOpen() {
      return isOpen
    },
    resolve: answer => once(() => resolve(answer)),
    reject: error => once(() => reject(error))
  }
}

/** As `http.ts` does: what the receiving side throws ends the exchange. */
function guard({ settle }: Exchange, act: () => void): void {
  try {
    act()
  } catch (error) {
    settle.reject(error)
  }
}

function toWire({ origin, path, headers, body }: HttpRequest, requestId: string): WireRequest {
  const [name = '', query = ''] = path.split('?')
  const lower = Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value])
  return {
    method: 'POST',
    path: name,
    query,
    headers: { host: new URL(origin).host, ...Object.fromEntries(lower) },
    body: Buffer.from(body),
    requestId
  }
}

function toShared({ status, body }: WireAnswer, headers: ReadonlyMap<string, string>): SharedAnswer {
  const bytes = new SharedArrayBuffer(status === 200 ? body.length : 0)
  if (status === 200) new Uint8Array(bytes).set(body)
  return { status, headers, body: status === 200 ? new Uint8Array() : body, bytes }
}

/** Of a heartbeat: it counts. */
function isGranted({ status, headers, body }: WireAnswer): boolean {
  if (status !== 200 || headers['content-type'] !== 'application/json') return false
  const answer = parseJson(Buffer.from(body).toString())
  return isRecord(answer) && isRecord(answer.Response) && answer.Response.Error === undefined
}

function refusal(asked: Asked, serviceCode: string): WireAnswer {
  const text = 'not now'
  if (asked.kind === 'pull') {
    return json(429, { errorcode: 'SpeedQuotaExceed', errormessage: text })
  }
  return json(200, { Response: { Error: { Code: serviceCode, Message: text }, RequestId: 'busy' } })
}

function page(status: number): WireAnswer {
  return {
    status,
    headers: { 'content-type': 'text/html' },
    body: Buffer.from('<html><body>Bad gateway</body></html>')
  }
}

function json(status: number, value: Parameters<typeof printJson>[0]): WireAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(printJson(value)) }
}
