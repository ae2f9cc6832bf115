/**
 * The data API: pulls and uploads.
 *
 * In: bytes and headers. Out: the action's answer, or a flat `{"errorcode","errormessage"}` with its status. The id of
 * the request is in the header: a cached body may hold the id of the request that it was made for.
 */
import { printJson } from '../cls/json.ts'
import { pullLog } from './actions/pull-log.ts'
import { uploadLogs } from './actions/upload-logs.ts'
import type { DataAction, WireAnswer, WireRequest } from './plane.ts'
import { Refusal } from './refusal.ts'
import { decodeForm, splitPair, verifyQSign } from './signature.ts'
import type { EmulatorState } from './state.ts'

const DATA_ACTIONS: ReadonlyMap<string, DataAction> = new Map([
  ['/pull_log', pullLog],
  ['/structuredlog', uploadLogs]
])

export function answerData(request: WireRequest, state: EmulatorState, nowMs: number): WireAnswer {
  const answer = answerOrRefuse(request, state, nowMs)
  return { ...answer, headers: { ...answer.headers, 'x-cls-requestid': request.requestId } }
}

function answerOrRefuse(request: WireRequest, state: EmulatorState, nowMs: number): WireAnswer {
  try {
    const action = DATA_ACTIONS.get(request.path)
    if (action === undefined) throw new Refusal('NotFound', `there is no ${request.path} here`, 404)
    verifyQSign(request, state.settings, nowMs)
    const { headers, body, requestId } = request
    return action({ topicId: readTopicId(request.query), headers, body, requestId }, state, nowMs)
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
  const given = query.split('&').map(splitPair)
  const topicId = given.find(([name]) => decodeForm(name).toLowerCase() === 'topic_id')?.[1] ?? ''
  if (topicId === '') throw new Refusal('InvalidParam', 'the query lacks topic_id')
  return decodeForm(topicId)
}
