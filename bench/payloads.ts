/**
 * The payloads by name: what they are, and which field of their logs the filter compares.
 *
 * In: nothing. Out: a table. The threads of the contenders load it, so that key and text are literals to them, as they
 * are in a processor; what makes the payloads is in `corpus.ts`.
 */

/** Of the requests that the made-up responses answer. */
export const START_OFFSET = 1000n

export interface Filter {
  readonly key: string
  readonly text: string
}

export interface PayloadRow {
  readonly what: string
  readonly filter: Filter
}

/** The ratios are of the first. */
export const PAYLOADS = {
  'access-4mb': { what: 'access logs, 4 MB', filter: { key: 'status', text: '500' } },
  'access-1mb': { what: 'access logs, 1 MB', filter: { key: 'status', text: '500' } },
  'access-real': { what: 'the real access log', filter: { key: 'status', text: '500' } },
  wide: { what: 'wide logs, 60 fields', filter: { key: 'status', text: '500' } },
  long: { what: 'stack traces of 8 KB', filter: { key: 'level', text: 'ERROR' } },
  chinese: { what: 'Chinese text', filter: { key: '级别', text: '错误' } },
  tiny: { what: 'tiny responses, 1 log', filter: { key: 'status', text: '200' } },
  incompressible: { what: 'incompressible values', filter: { key: 'status', text: '500' } }
} as const satisfies Record<string, PayloadRow>

export type PayloadName = keyof typeof PAYLOADS

export const PAYLOAD_NAMES: readonly PayloadName[] = Object.keys(PAYLOADS).filter(isPayloadName)

export function isPayloadName(name: string): name is PayloadName {
  return name in PAYLOADS
}
