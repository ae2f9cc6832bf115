/**
 * The data API: pulls and uploads.
 *
 * In: bytes and headers. Out: the action's answer, or a flat `{"errorcode","errormessage"}` with its status. The id of
 * the request is in the header: a cached body may hold the id of the request that it was made for.
 */
import { printJson } from '../cls/json.ts'
import type { DataActionName } from './action-names.ts'
import { pullLog } from './actions/pull-log.ts'
import { uploadLogs } from './actions/upload-logs.ts'
import type { DataAction, WireAnswer, WireRequest } from './plane.ts'
import type { PullFlaw } from './pull-body.ts'
import { Refusal } from './refusal.ts'
import { decodeForm, splitPair, verifyQSign } from './signature.ts'
import type { EmulatorState } from './state.ts'

const ACTIONS: Readonly<Record<DataActionName, DataAction>> = { pull_log: pullLog, structuredlog: uploadLogs }

const DATA_ACTIONS: ReadonlyMap<string, DataAction> = new Map(Object.entries(ACTIONS))

/** `flaw`: what a fault does to the body, where this is a pull. */
export function answerData(request: WireRequest, state: EmulatorState, nowMs: number, flaw?: PullFlaw): WireAnswer {
  return withRequestId(answerOrRefuse(request, state, nowMs, flaw), request)
}

export function withRequestId(answer: WireAnswer, { requestId }: WireRequest): WireAnswer {
  return { ...answer, headers: { ...answer.headers, 'x-cls-requestid': requestId } }
}

function answerOrRefuse(
  request: WireRequest,
  state: EmulatorState,
  nowMs: number,
  flaw: PullFlaw | undefined
): WireAnswer {
  try {
    const action = DATA_ACTIONS.get(request.path.slice(1))
    if (action === undefined) throw new Refusal('NotFound', `there is no ${request.path} here`, 404)
    verifyQSign(request, state.settings, nowMs)
    const { headers, body, requestId } = request
    return action({ topicId: readTopicId(request.query), headers, body, requestId, flaw }, state, nowMs)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return refused(error)
  }
}

export function refused({ code, message, httpStatus }: Refusal): WireAnswer {
  const body = printJson({ errorcode: code, errormessage: message })
  return { status: httpStatus, headers: { 'content-type': 'application/json' }, body: Buffer.from(body) }
}

function readTopicId(query: string): string {
  const topicId = findTopicId(query)
  if (topicId === undefined) throw new Refusal('InvalidParam', 'the query lacks topic_id')
  return topicId
}

export function findTopicId(query: string): string | undefined {
  const given = query.split('&').map(splitPair)
  const topicId = given.find(([name]) => decodeForm(name).toLowerCase() === 'topic_id')?.[1] ?? ''
  return topicId === '' ? undefined : decodeForm(topicId)
}
