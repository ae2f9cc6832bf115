/**
 * The network of one process: HTTP without sockets, which loses, delays, repeats and damages.
 *
 * In: requests as the real control and data APIs send them. Out: answers of the service, or what undici would say. The
 * interface is that of `cls/http.ts`, so that everything above the socket is real: signatures, retries, deadlines, the
 * reading of answers. A request that its caller has given up goes its way all the same.
 */
import type { Http, HttpRequest, OnReceived, SharedAnswer } from '../../src/cls/http.ts'
import type { WireAnswer, WireRequest } from '../../src/emulator/plane.ts'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import type { Dice } from '../fuzz/dice.ts'
import { type Asked, describeAsked, readAsked } from './asked.ts'
import type { Course, Place } from './course.ts'
import { drawFate, type Fate, isDoubtful, stuckOffset } from './fates.ts'
import type { Ledger } from './ledger.ts'
import type { Party } from './party.ts'
import type { Service } from './service.ts'
import { type Settle, settleOnce } from './settle.ts'
import { tellGap, withNextOffset } from './tamper.ts'
import { isGranted, page, refusal, toShared, toWire } from './wire-form.ts'

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

/** One request in so many waits for a connection. */
const WAITS_ONE_IN = 25
/** What is left of a body that nobody may read any more. No snappy body begins so, and no JSON. */
const FREED_BYTE = 0xff
const WAIT_MS_MAX = 400

/** One request, as its caller made it. */
interface Call {
  readonly request: HttpRequest
  readonly wire: WireRequest
  readonly asked: Asked
  readonly onReceived: OnReceived | undefined
  readonly settle: Settle
}

/** One request on its way, and what becomes of it. */
interface Exchange extends Call {
  readonly fate: Fate
  readonly sentMs: number
  /** Its number among the heartbeats of its sender. */
  readonly beat: number
  readonly life: number
}

export class Network implements Http {
  readonly #parts: NetworkParts
  #requestCount = 0
  readonly #freed = new WeakSet<SharedArrayBuffer>()
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

  /** What still reads it reads nothing of sense. */
  free(bytes: SharedArrayBuffer): void {
    const { ledger, party } = this.#parts
    if (this.#freed.has(bytes)) ledger.findings.add('I5', `${party.name} frees a body twice`)
    this.#freed.add(bytes)
    new Uint8Array(bytes).fill(FREED_BYTE)
  }

  async close(): Promise<void> {}

  #exchange(request: HttpRequest, onReceived: OnReceived | undefined): Promise<SharedAnswer> {
    if (request.signal.aborted) return Promise.reject(request.signal.reason)
    const { course, dice, party, place } = this.#parts
    this.#requestCount += 1
    const wire = toWire(request, `${party.name}-${this.#requestCount}`)
    const asked = readAsked(wire)
    this.#checkAlone(asked)
    return new Promise((resolve, reject) => {
      const settle = settleOnce(request.signal, resolve, reject, () => this.#underway.delete(asked.kind))
      const call = { request, wire, asked, onReceived, settle }
      if (!dice.oneIn(WAITS_ONE_IN)) {
        this.#leave(call)
        return
      }
      const happen = (): void => {
        if (settle.isOpen) this.#leave(call)
      }
      course.set({ where: place, what: `${wire.requestId} has a connection`, delayMs: dice.below(WAIT_MS_MAX), happen })
    })
  }

  /** Whoever sends it has the last word: what it says of its epochs may have changed while it waited. */
  #leave(call: Call): void {
    const { course, dice, ledger, party, service, place, trace } = this.#parts
    const { request, wire, asked } = call
    try {
      request.onSend?.()
    } catch (error) {
      call.settle.reject(error)
      return
    }
    const fate = drawFate(dice, asked.kind === 'pull', this.#parts.badOneIn())
    const told = fate.kind === 'well' ? '' : ` (${JSON.stringify(fate)})`
    trace(place.name, `${wire.requestId} ${describeAsked(asked)}${told}`)
    const beat = ledger.wire.sent(party, asked)
    if (isDoubtful(fate)) ledger.doubted(asked, `the fate of a commit: ${fate.kind}`)
    this.#send({ ...call, fate, sentMs: course.nowMs, beat, life: service.life })
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

/** As `http.ts` does: what the receiving side throws ends the exchange. */
function guard({ settle }: Exchange, act: () => void): void {
  try {
    act()
  } catch (error) {
    settle.reject(error)
  }
}
