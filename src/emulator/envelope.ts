/**
 * The JSON around an answer's fields: `{"Response":{…}}`, in every way that the service is free to write it.
 *
 * In: members, each already text. Out: text that any JSON parser reads as the same members, whatever the quirks. With the
 * default quirks it is as short as can be.
 */
import type { Quirks } from './quirks.ts'

/** A key, and its value as JSON. */
export type Member = readonly [key: string, text: string]

type EnvelopeQuirks = Pick<Quirks, 'whiteSpace' | 'extraKeys'>

/** Each kind that JSON knows. */
const GAP = ' \r\n\t'

/** Look-alikes, where a search for a name instead of a parser would find them. */
const BEFORE_RESPONSE: readonly Member[] = [
  ['Meta', '{"Response":{"NextOffset":1,"Message":["TG9vay1hbGlrZQ=="]},"Region":"none"}']
]
const BEFORE_FIELDS: readonly Member[] = [
  ['Context', '{"NextOffset":2,"Message":["TG9vay1hbGlrZQ=="],"Error":{"Code":"InternalError","Message":"no error"}}'],
  ['Notes', '["\\"NextOffset\\":3,",{"NextOffset":4},"}],\\"Message\\":[\\"TG9vay1hbGlrZQ==\\"]",null]']
]
const AFTER_FIELDS: readonly Member[] = [['Trace', '[{"Response":{"NextOffset":5}},"\\\\",-1.5e-3,true]']]
const AFTER_RESPONSE: readonly Member[] = [['Cost', '{"NextOffset":[6],"Message":null,"Ms":0.25}']]

export function printEnvelope(fields: readonly Member[], quirks: EnvelopeQuirks): string {
  const gap = gapOf(quirks)
  const isNested = quirks.extraKeys === 'nested'
  const inner = isNested ? [...BEFORE_FIELDS, ...fields, ...AFTER_FIELDS] : fields
  const response: Member = ['Response', printMembers(inner, gap)]
  const text = printMembers(isNested ? [...BEFORE_RESPONSE, response, ...AFTER_RESPONSE] : [response], gap)
  return gap === '' ? text : `${text}${gap}`
}

/** What stands between two parts. */
export function gapOf({ whiteSpace }: Pick<Quirks, 'whiteSpace'>): string {
  return whiteSpace === 'spaces' ? GAP : ''
}

/** A short JSON text with the gaps between its parts; what is inside its texts stays. */
export function spaced(json: string, quirks: Pick<Quirks, 'whiteSpace'>): string {
  const gap = gapOf(quirks)
  if (gap === '') return json
  return json.replace(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/g, part => (part.startsWith('"') ? part : `${gap}${part}${gap}`))
}

export function printList(items: readonly string[], gap: string): string {
  return gap === '' ? `[${items.join(',')}]` : `[${gap}${items.join(`${gap},${gap}`)}${gap}]`
}

function printMembers(members: readonly Member[], gap: string): string {
  const written = members.map(([key, text]) => `"${key}"${gap}:${gap}${text}`)
  return `{${gap}${written.join(`${gap},${gap}`)}${gap}}`
}
