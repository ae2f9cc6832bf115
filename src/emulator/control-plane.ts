/**
 * The management API: from a request at `/` to the answer of an action.
 *
 * In: bytes and headers. Out: HTTP 200 with a `Response`, which holds the action's fields or an `Error`. The request's
 * signature is checked first; an action never sees a request that is not its own. `X-TC-Region` may be absent, as for all
 * but the service's intranet host: whoever is given an endpoint in full need not know a region.
 */
import { isRecord, type Json, type Printable, parseJson, printJson } from '../cls/json.ts'
import type { ControlActionName } from './action-names.ts'
import { commitConsumerOffsets } from './actions/commit-consumer-offsets.ts'
import { createConsumerGroup } from './actions/create-consumer-group.ts'
import { deleteConsumerGroup } from './actions/delete-consumer-group.ts'
import { describeConsumerGroups } from './actions/describe-consumer-groups.ts'
import { describeConsumerOffsets } from './actions/describe-consumer-offsets.ts'
import { describePartitions } from './actions/describe-partitions.ts'
import { mergePartition } from './actions/merge-partition.ts'
import { modifyConsumerGroup } from './actions/modify-consumer-group.ts'
import { sendConsumerHeartbeat } from './actions/send-consumer-heartbeat.ts'
import { splitPartition } from './actions/split-partition.ts'
import { gapOf, printEnvelope, spaced } from './envelope.ts'
import type { ControlAction, ControlFields, WireAnswer, WireRequest } from './plane.ts'
import type { Quirks } from './quirks.ts'
import { CONTROL_CODES, FieldReader, Refusal } from './refusal.ts'
import { verifyTc3 } from './signature.ts'
import type { EmulatorState } from './state.ts'

const VERSION = '2020-10-16'
/** Of each action; of each region and sub-account, of which there is one here. */
const CALLS_PER_SECOND_MAX = 20

const ACTIONS: Readonly<Record<ControlActionName, ControlAction>> = {
  CreateConsumerGroup: createConsumerGroup,
  ModifyConsumerGroup: modifyConsumerGroup,
  DeleteConsumerGroup: deleteConsumerGroup,
  DescribeConsumerGroups: describeConsumerGroups,
  SendConsumerHeartbeat: sendConsumerHeartbeat,
  DescribeConsumerOffsets: describeConsumerOffsets,
  CommitConsumerOffsets: commitConsumerOffsets,
  DescribePartitions: describePartitions,
  SplitPartition: splitPartition,
  MergePartition: mergePartition
}

export const CONTROL_ACTIONS: ReadonlyMap<string, ControlAction> = new Map(Object.entries(ACTIONS))

export function answerControl(request: WireRequest, state: EmulatorState, nowMs: number): WireAnswer {
  let fields: ControlFields
  try {
    verifyTc3(request, state.settings, nowMs)
    const action = findAction(request, state, nowMs)
    fields = action(readFields(request.body), state, nowMs)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    fields = errorFields(error.code, error.message)
  }
  return controlAnswer(fields, request.requestId, state.settings.quirks)
}

export function errorFields(code: string, message: string): ControlFields {
  return { Error: { Code: code, Message: message } }
}

export function controlAnswer(fields: ControlFields, requestId: string, quirks: Quirks, status = 200): WireAnswer {
  const written = Object.entries({ ...fields, RequestId: requestId }).map(([name, value]) => {
    const shown = quirks.emptyLists === 'null' ? withoutEmptyLists(value) : value
    return [name, spaced(printJson(shown), quirks)] as const
  })
  const body = Buffer.from(`${gapOf(quirks)}${printEnvelope(written, quirks)}`)
  return { status, headers: { 'content-type': 'application/json' }, body }
}

/** Each becomes `null`, however deep. */
function withoutEmptyLists(value: Printable): Printable {
  if (isList(value)) return value.length === 0 ? null : value.map(withoutEmptyLists)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([name, member]) => [
    name,
    member === undefined ? member : withoutEmptyLists(member)
  ])
  return Object.fromEntries(members)
}

function isList(value: Printable): value is readonly Printable[] {
  return Array.isArray(value)
}

function findAction({ headers }: WireRequest, { settings, rates }: EmulatorState, nowMs: number): ControlAction {
  for (const name of ['X-TC-Action', 'X-TC-Version']) {
    const value = headers[name.toLowerCase()] ?? ''
    if (value === '') throw new Refusal('MissingParameter', `the request lacks the required header ${name}`)
  }
  const [action, version] = [headers['x-tc-action'] ?? '', headers['x-tc-version'] ?? '']
  const found = CONTROL_ACTIONS.get(action)
  if (found === undefined) throw new Refusal('InvalidAction', `the action ${action} does not exist`)
  if (version !== VERSION) throw new Refusal('NoSuchVersion', `the version ${version} does not exist: it is ${VERSION}`)
  if (settings.rateLimits === 'service' && !rates.allows(action, CALLS_PER_SECOND_MAX, nowMs)) {
    throw new Refusal('RequestLimitExceeded', `more than ${CALLS_PER_SECOND_MAX} requests of ${action} in a second`)
  }
  return found
}

function readFields(body: Uint8Array): FieldReader {
  const text = Buffer.from(body).toString()
  return new FieldReader(text === '' ? {} : parseObject(text), CONTROL_CODES)
}

function parseObject(text: string): { readonly [name: string]: Json } {
  try {
    const fields = parseJson(text)
    if (isRecord(fields)) return fields
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new Refusal('InvalidParameter', 'the body is not a JSON object')
}
