/**
 * The logs that `produce` uploads: from a file, or made up.
 *
 * In: what the user asked for. Out: logs with their key and line, and counts of what was not as asked. A file's lines are
 * text (access-log lines get fields) or JSON objects. Must never happen: a line that is left out, cut or changed in
 * silence. One that the service cannot take is an error with its number; one that is not as its format says is told.
 */
import type { Log } from '../cls/log-group.ts'
import { checkLog, UPLOAD_LIMITS } from '../cls/upload-limits.ts'
import { ClsConsumerError } from '../errors.ts'
import type { Clock } from '../world.ts'
import { type GeneratedKind, generators } from './generate.ts'
import { type Line, readLines } from './lines.ts'
import { lineToLog } from './logs.ts'
import { type JsonLine, parseJsonLine } from './ndjson.ts'
import type { OutgoingLog } from './outgoing-log.ts'
import { seededRandom } from './random.ts'
import { parseTimeField, type TimeUnit } from './time-field.ts'

export interface FilePlan {
  /** Or `-` for standard input. */
  readonly path: string
  readonly format: 'auto' | 'lines' | 'ndjson'
  /** Of a line that is not a JSON object: keep it as `message`, or end with an error. */
  readonly onBadLine: 'keep' | 'stop'
  readonly timeField: string | undefined
  readonly timeUnit: TimeUnit | undefined
}

export interface GeneratorPlan {
  readonly kind: GeneratedKind
  readonly seed: number
}

export interface SourcePlan {
  readonly from: FilePlan | GeneratorPlan
  readonly countMax: number
  readonly key: { readonly field: string } | { readonly text: string } | undefined
}

/** Of logs, counted as they are read. */
export interface SourceTally {
  /** Lines that are not JSON objects. */
  badLineCount: number
  /** Logs at the time of now, since their field of time is absent or cannot be read. */
  noTimeCount: number
  noKeyCount: number
}

export interface SourceWorld {
  readonly clock: Clock
  readonly ended: AbortSignal
  readonly tally: SourceTally
  /** A line that stays, for the user. */
  readonly say: (line: string) => void
}

/** @throws ClsConsumerError FILE_UNREADABLE, with the number of the line where there is one. */
export async function* sourceLogs(plan: SourcePlan, world: SourceWorld): AsyncGenerator<OutgoingLog, void, undefined> {
  const { from, countMax, key } = plan
  const logs = 'kind' in from ? generatedLogs(from, world) : fileLogs(from, world)
  let takenCount = 0
  for await (const outgoing of logs) {
    const found = key === undefined ? undefined : 'text' in key ? key.text : fieldOf(outgoing.log, key.field)
    if (key !== undefined && found === undefined) world.tally.noKeyCount++
    yield found === undefined ? outgoing : { ...outgoing, key: found }
    // Not one line further than asked: standard input may have no more for a long time.
    if (++takenCount >= countMax) return
  }
}

async function* generatedLogs(
  { kind, seed }: GeneratorPlan,
  { clock, say, ended }: SourceWorld
): AsyncGenerator<OutgoingLog, void, undefined> {
  say(`made-up ${kind} logs, seed ${seed}`)
  const nextLog = generators[kind](seededRandom(seed))
  while (!ended.aborted) yield { log: nextLog(clock.now()) }
}

async function* fileLogs(plan: FilePlan, world: SourceWorld): AsyncGenerator<OutgoingLog, void, undefined> {
  let read: ReadLine | undefined
  for await (const line of readLines(plan.path, world.ended, UPLOAD_LIMITS.bodyBytes)) {
    read ??= readerFor(line, plan, world)
    const log = read(line)
    if (log === undefined) continue
    checkLine(log, line, plan)
    yield { log, line: line.number }
  }
}

/** `undefined` for a line that holds nothing. */
type ReadLine = (line: Line) => Log | undefined

function readerFor(first: Line, plan: FilePlan, world: SourceWorld): ReadLine {
  const { format, path } = plan
  const isJson = format === 'ndjson' || (format === 'auto' && looksLikeJson(path, first))
  if (format === 'auto') world.say(`taken for ${isJson ? 'NDJSON' : 'lines of text'}; --format says otherwise`)
  return isJson
    ? line => readJson(line, plan, world)
    : ({ text }) => timed(lineToLog(text, world.clock.now()), plan, world)
}

const JSON_NAME = /\.(ndjson|jsonl|json)$/i

function looksLikeJson(path: string, { text }: Line): boolean {
  return JSON_NAME.test(path) || parseJsonLine(text).kind === 'object'
}

/** This many are told one by one, the rest by their number at the end. */
const BAD_LINES_TOLD = 10

function readJson({ text, number }: Line, plan: FilePlan, world: SourceWorld): Log | undefined {
  if (text.trim() === '') return undefined
  const time = BigInt(world.clock.now())
  const parsed: JsonLine = parseJsonLine(text)
  if (parsed.kind === 'object') return timed({ time, contents: parsed.contents }, plan, world)
  const problem = `line ${number} is not a JSON object: ${parsed.why}`
  if (plan.onBadLine === 'stop') {
    const advice = '; --on-bad-line keep uploads such lines as text'
    throw new ClsConsumerError('FILE_UNREADABLE', `${problem}${advice}`, { file: plan.path })
  }
  if (world.tally.badLineCount++ < BAD_LINES_TOLD) world.say(`${problem}; kept as message`)
  return timed({ time, contents: [{ key: 'message', value: text }] }, plan, world)
}

/** The log at the time that its field tells; as it is where that is absent or unreadable, which is counted. */
function timed(log: Log, { timeField, timeUnit }: FilePlan, { tally }: SourceWorld): Log {
  if (timeField === undefined) return log
  const found = fieldOf(log, timeField)
  const time = found === undefined ? undefined : parseTimeField(found, timeUnit)
  if (time !== undefined) return { ...log, time }
  tally.noTimeCount++
  return log
}

/** Of a key that repeats, the first. */
function fieldOf({ contents }: Log, field: string): string | undefined {
  return contents.find(({ key }) => key === field)?.value
}

/** The service would refuse the whole upload, and nobody would know for which line. */
function checkLine(log: Log, { number }: Line, { path }: FilePlan): void {
  try {
    checkLog(log, {})
  } catch (error) {
    if (!(error instanceof ClsConsumerError)) throw error
    throw new ClsConsumerError('FILE_UNREADABLE', `line ${number}: ${error.what}`, { file: path })
  }
}
