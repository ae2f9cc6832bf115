/**
 * One `--fault` of the emulator: a rule as JSON, or in short.
 *
 * In: the flag's text. Out: a rule, or what is wrong with it. The short form is `action:kind[:detail]`, with `*` for any
 * action, then `,name=value` for the other parts of a rule: `pull_log:delay:200,every=3`. Pure.
 */
import { type Json, parseJson } from '../cls/json.ts'
import { type Fault, type FaultRule, faultFields, isFaultRule, ruleProblems } from '../emulator/fault-rules.ts'

/** Which fields of a fault the parts after its kind are, in order; all others need JSON. */
const DETAILS: Readonly<Record<Fault['kind'], readonly string[]>> = {
  delay: ['ms', 'when'],
  error: ['code', 'status'],
  status: ['status', 'body'],
  drop: ['when'],
  truncate: [],
  corrupt: ['what'],
  'too-large': ['bytes']
}

export const FAULT_EXAMPLES = [
  'pull_log:delay:200',
  'CommitConsumerOffsets:error:InternalError',
  '*:drop:body,every=10',
  '{"consumer":"A","times":1,"fault":{"kind":"drop","when":"answer"}}'
]

/** Each kind of fault as it is written in short: `delay:ms[:before|after]`. */
export function shortForms(): string[] {
  return Object.entries(DETAILS).map(([kind, names]) => {
    const parts = names.map(name => {
      const field = faultFields(kind)?.[name]
      const part = field?.choices?.join('|') ?? name
      return field?.isRequired === true ? `:${part}` : `[:${part}]`
    })
    return `${kind}${parts.join('')}`
  })
}

export function parseFaultFlag(text: string): FaultRule | readonly string[] {
  const rule = text.startsWith('{') ? parseLong(text) : parseShort(text)
  if (isFaultRule(rule)) return rule
  return typeof rule === 'string' ? [rule] : ruleProblems(rule, 'the rule')
}

function parseLong(text: string): Json {
  try {
    return parseJson(text)
  } catch (error) {
    return `it is not JSON: ${error instanceof Error ? error.message : String(error)}`
  }
}

function parseShort(text: string): unknown {
  const [subject = '', ...settings] = text.split(',')
  const [action = '', kind = '', ...details] = subject.split(':')
  const names = Object.entries(DETAILS).find(([known]) => known === kind)?.[1] ?? details.map(() => 'detail')
  if (details.length > names.length && kind in DETAILS)
    return `${kind} takes no more than ${names.length} parts after it`
  const fault = Object.fromEntries(details.map((detail, index) => [names[index], numberOr(detail)]))
  const rest = settings.map(setting => {
    const at = setting.indexOf('=')
    return at === -1 ? [setting, ''] : [setting.slice(0, at), numberOr(setting.slice(at + 1))]
  })
  return { ...Object.fromEntries(rest), ...(action === '*' ? {} : { action }), fault: { kind, ...fault } }
}

function numberOr(text: string): number | string {
  return /^\d{1,15}$/.test(text) ? Number(text) : text
}
