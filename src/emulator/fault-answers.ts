/**
 * What a struck request is answered.
 *
 * In: the fault and the request. Out: what goes over the wire, which is a whole answer, part of one, or nothing; and,
 * where the fault lets the request take effect, that effect. How long anything waits is not known here.
 */
import { compress } from '../cls/compression.ts'
import { printJson } from '../cls/json.ts'
import { pullHeaders } from './actions/pull-log.ts'
import { answerRequest } from './answer.ts'
import { controlAnswer, errorFields } from './control-plane.ts'
import { damageBlock } from './damage.ts'
import { refused, withRequestId } from './data-plane.ts'
import type { CorruptFault, ErrorFault, StrikingFault } from './fault-rules.ts'
import type { WireAnswer, WireRequest } from './plane.ts'
import type { PullFlaw } from './pull-body.ts'
import { Refusal } from './refusal.ts'
import type { EmulatorState } from './state.ts'

export type Delivery =
  | { readonly kind: 'whole'; readonly answer: WireAnswer }
  /** The headers announce the whole body; so many bytes of it come, then the connection is cut. */
  | { readonly kind: 'cut'; readonly answer: WireAnswer; readonly bodyBytes: number }
  /** The connection is cut without a byte. */
  | { readonly kind: 'nothing' }

/** Without a fault it is answered as it should be. */
export function deliver(
  request: WireRequest,
  state: EmulatorState,
  nowMs: number,
  fault: StrikingFault | undefined
): Delivery {
  const answer = (flaw?: PullFlaw): WireAnswer => answerRequest(request, state, nowMs, flaw)
  switch (fault?.kind) {
    case undefined:
      return { kind: 'whole', answer: answer() }
    case 'error':
      return { kind: 'whole', answer: errorAnswer(fault, request, state) }
    case 'status':
      return { kind: 'whole', answer: foreignAnswer(fault.status, fault.body ?? 'html') }
    case 'drop':
      return drop(fault.when, answer)
    case 'truncate':
      return { kind: 'whole', answer: firstHalf(answer()) }
    case 'corrupt':
      return { kind: 'whole', answer: corruptAnswer(fault, request, answer) }
    case 'too-large':
      return { kind: 'whole', answer: answer({ kind: 'padding', plainBytes: fault.bytes }) }
  }
}

const OPENING_BRACE = 0x7b

/** Data-plane codes that have a status of their own, first match first; 400 for all others. */
const STATUSES: readonly (readonly [RegExp, number])[] = [
  [/InvalidOffset/i, 400],
  [/^Unauthorized/, 401],
  [/^NotAllowed/, 403],
  [/NotExist|^NotFound|^ResourceNotFound/, 404],
  [/^LogSizeExceed/, 413],
  [/^SpeedQuotaExceed|^RequestLimitExceeded/, 429],
  [/^Internal|^ServerError|^FailedOperation\.Timeout/, 500],
  [/^ServerBusy|^ServiceUnavailable/, 503]
]

function errorAnswer(fault: ErrorFault, request: WireRequest, state: EmulatorState): WireAnswer {
  const { code, message = 'a fault that the emulator was told to play', status, wrapped } = fault
  const { quirks } = state.settings
  if (request.path === '/') return controlAnswer(errorFields(code, message), request.requestId, quirks, status)
  if (wrapped !== undefined) {
    const { body } = controlAnswer(errorFields(code, message), request.requestId, quirks)
    const compression = wrapped === 'plain' ? 'none' : wrapped
    // In the clear without white space in front, as in the body of a pull, and for the same reason.
    const plain = compression === 'none' ? body.subarray(body.indexOf(OPENING_BRACE)) : body
    const answer = { status: 200, headers: pullHeaders(compression, quirks), body: compress(plain, compression) }
    return withRequestId(answer, request)
  }
  const documented = STATUSES.find(([pattern]) => pattern.test(code))?.[1] ?? 400
  return withRequestId(refused(new Refusal(code, message, status ?? documented)), request)
}

/** From something on the way, which is not the service and does not speak its language. */
function foreignAnswer(status: number, kind: 'html' | 'empty' | 'json'): WireAnswer {
  switch (kind) {
    case 'html': {
      const page = `<html>\r\n<head><title>${status}</title></head>\r\n<body><center><h1>${status}</h1></center></body>\r\n</html>\r\n`
      return { status, headers: { 'content-type': 'text/html' }, body: Buffer.from(page) }
    }
    case 'empty':
      return { status, headers: {}, body: Buffer.alloc(0) }
    case 'json': {
      const body = Buffer.from(printJson({ message: 'the gateway has no answer', status }))
      return { status, headers: { 'content-type': 'application/json' }, body }
    }
  }
}

function drop(when: 'before' | 'headers' | 'body' | 'answer', answer: () => WireAnswer): Delivery {
  if (when === 'before') return { kind: 'nothing' }
  const lost = answer()
  if (when === 'answer') return { kind: 'nothing' }
  return { kind: 'cut', answer: lost, bodyBytes: when === 'headers' ? 0 : Math.floor(lost.body.length / 2) }
}

function firstHalf(answer: WireAnswer): WireAnswer {
  return { ...answer, body: answer.body.subarray(0, Math.floor(answer.body.length / 2)) }
}

/** A pull packs its damage in itself; what is not a pull's body has only bytes. */
function corruptAnswer(
  { what = 'bytes' }: CorruptFault,
  { path }: WireRequest,
  answer: (flaw?: PullFlaw) => WireAnswer
): WireAnswer {
  const given = answer({ kind: 'damage', layer: what })
  if (path === '/pull_log' && given.status === 200) return given
  return { ...given, body: damageBlock(given.body, 'none') }
}
