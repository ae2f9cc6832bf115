/**
 * What the starter of an emulator in a process of its own and that process say to each other.
 *
 * Sent with structured cloning, so that offsets stay bigint. Each call is answered once, by its number.
 */
import type { Failure } from '../errors.ts'
import type { SettingsChange } from './changes.ts'
import type { FaultRule } from './fault-rules.ts'
import type { EmulatorOptions } from './settings.ts'
import type { EmulatorSnapshot } from './snapshot.ts'

export type ChildCall = { readonly callId: number } & (
  | { readonly kind: 'start'; readonly options: EmulatorOptions }
  | { readonly kind: 'faults'; readonly rules: readonly FaultRule[] }
  | { readonly kind: 'settings'; readonly change: SettingsChange }
  | { readonly kind: 'suspend' | 'resume' | 'snapshot' | 'stop' }
)

export type ChildAnswer = { readonly callId: number } & (
  | { readonly kind: 'started'; readonly port: number }
  | { readonly kind: 'snapshot'; readonly snapshot: EmulatorSnapshot }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: Failure }
)

/** Both ends are this package, in one version: that there is a number and a kind tells ours from anything else. */
export function isChildCall(message: unknown): message is ChildCall {
  return hasCallId(message)
}

export function isChildAnswer(message: unknown): message is ChildAnswer {
  return hasCallId(message)
}

function hasCallId(message: unknown): boolean {
  if (typeof message !== 'object' || message === null) return false
  return 'callId' in message && typeof message.callId === 'number' && 'kind' in message
}
