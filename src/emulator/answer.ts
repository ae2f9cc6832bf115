/**
 * One request in, one answer out: the whole service as a function.
 *
 * The paths of both planes, and `/emulator/state`, which is this emulator's own. That one is protected by nothing but
 * the loopback interface that the emulator listens on unless told otherwise.
 */
import { printJson } from '../cls/json.ts'
import { answerControl } from './control-plane.ts'
import { answerData, refused } from './data-plane.ts'
import type { WireAnswer, WireRequest } from './plane.ts'
import { Refusal } from './refusal.ts'
import { takeSnapshot } from './snapshot.ts'
import type { EmulatorState } from './state.ts'

export function answerRequest(request: WireRequest, state: EmulatorState, nowMs: number): WireAnswer {
  const { method, path } = request
  if (method === 'GET' && path === '/emulator/state') return answerSnapshot(state, nowMs)
  if (method !== 'POST') return refused(new Refusal('NotAllowed', `${method} ${path} is not known here`, 405))
  return path === '/' ? answerControl(request, state, nowMs) : answerData(request, state, nowMs)
}

function answerSnapshot(state: EmulatorState, nowMs: number): WireAnswer {
  const body = Buffer.from(printJson(takeSnapshot(state, nowMs)))
  return { status: 200, headers: { 'content-type': 'application/json' }, body }
}
