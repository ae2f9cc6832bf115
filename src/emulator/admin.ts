/**
 * How the emulator is looked into and changed over HTTP while it runs. These paths are its own: the service has none of
 * them, no fault strikes them, and nothing protects them but the loopback interface that it listens on unless told
 * otherwise.
 *
 * In: `GET /emulator/state`, `PUT /emulator/faults` with a list of rules, `PATCH /emulator/settings` with what shall
 * change. Out: the state after that; or 400 with every problem, and nothing has changed.
 */
import { type Json, type Printable, parseJson, printJson } from '../cls/json.ts'
import { changeFaults, changeSettings } from './changes.ts'
import type { WireAnswer, WireRequest } from './plane.ts'
import { takeSnapshot } from './snapshot.ts'
import type { EmulatorState } from './state.ts'

const PREFIX = '/emulator/'

export function isAdmin({ path }: WireRequest): boolean {
  return path.startsWith(PREFIX)
}

/** For a request that `isAdmin`. */
export function answerAdmin(request: WireRequest, state: EmulatorState, nowMs: number): WireAnswer {
  switch (`${request.method} ${request.path.slice(PREFIX.length)}`) {
    case 'GET state':
      return told(state, nowMs)
    case 'PUT faults':
      return changed(request, state, nowMs, changeFaults)
    case 'PATCH settings':
      return changed(request, state, nowMs, changeSettings)
    default: {
      const known = 'there are GET state, PUT faults and PATCH settings'
      return json(404, { problems: [`there is no ${request.method} ${request.path}: ${known}`] })
    }
  }
}

function changed(
  { body }: WireRequest,
  state: EmulatorState,
  nowMs: number,
  change: (state: EmulatorState, wanted: unknown) => string[]
): WireAnswer {
  const wanted = readJson(body)
  const skewMs = state.settings.clockSkewMs
  const problems = wanted instanceof SyntaxError ? [`the body is not JSON: ${wanted.message}`] : change(state, wanted)
  if (problems.length > 0) return json(400, { problems })
  // The same moment, by the clock that holds now.
  return told(state, nowMs + state.settings.clockSkewMs - skewMs)
}

function told(state: EmulatorState, nowMs: number): WireAnswer {
  return json(200, takeSnapshot(state, nowMs))
}

function readJson(body: Uint8Array): Json | SyntaxError {
  try {
    return parseJson(Buffer.from(body).toString())
  } catch (error) {
    if (error instanceof SyntaxError) return error
    throw error
  }
}

function json(status: number, value: Printable): WireAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(printJson(value)) }
}
