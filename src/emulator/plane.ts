/**
 * The shapes between HTTP and the actions.
 *
 * In: a request as bytes and headers. Out: an answer as bytes and headers. Both planes speak these, so that the HTTP
 * shell holds no rule of the service, and a simulation can do without the shell.
 */
import type { Printable } from '../cls/json.ts'
import type { PullFlaw } from './pull-body.ts'
import type { FieldReader } from './refusal.ts'
import type { EmulatorState } from './state.ts'

export interface WireRequest {
  readonly method: string
  readonly path: string
  /** As sent, without the question mark. */
  readonly query: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  /** The id that the answer will carry. */
  readonly requestId: string
}

export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Fields of a `Response`, without the request's id. */
export type ControlFields = { readonly [name: string]: Printable }

export type ControlAction = (request: FieldReader, state: EmulatorState, nowMs: number) => ControlFields

export interface DataRequest {
  /** Of the URL, decoded. */
  readonly topicId: string
  readonly headers: WireRequest['headers']
  readonly body: Uint8Array
  readonly requestId: string
  /** What a fault does to the body of a pull. */
  readonly flaw?: PullFlaw | undefined
}

export type DataAction = (request: DataRequest, state: EmulatorState, nowMs: number) => WireAnswer
