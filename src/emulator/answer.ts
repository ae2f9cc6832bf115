/**
 * One request in, one answer out: the whole service as a function.
 *
 * Both planes, and nothing of this emulator's own: no faults, but for what one does inside the body of a pull, which
 * nobody outside could do without undoing its compression.
 */
import { answerControl } from './control-plane.ts'
import { answerData, refused } from './data-plane.ts'
import type { WireAnswer, WireRequest } from './plane.ts'
import type { PullFlaw } from './pull-body.ts'
import { Refusal } from './refusal.ts'
import type { EmulatorState } from './state.ts'

export function answerRequest(request: WireRequest, state: EmulatorState, nowMs: number, flaw?: PullFlaw): WireAnswer {
  const { method, path } = request
  if (method !== 'POST') return refused(new Refusal('NotAllowed', `${method} ${path} is not known here`, 405))
  return path === '/' ? answerControl(request, state, nowMs) : answerData(request, state, nowMs, flaw)
}
