/**
 * The responses that decoding is measured on.
 *
 * In: a payload's name. Out: a compressed body, its sizes, and the answers that every contender must give, taken from
 * the logs before they were encoded. The same name gives the same bytes on every machine. Must never happen: a payload
 * whose filter matches no log, since a loop that finds nothing may be wrong.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { generators, lineGenerator } from '../src/cli/generate.ts'
import { lineToLog } from '../src/cli/logs.ts'
import { between, pick, type SeededRandom, seededRandom } from '../src/cli/random.ts'
import { compress } from '../src/cls/compression.ts'
import type { Log } from '../src/cls/log-group.ts'
import { ROOT } from './context.ts'
import type { Workload } from './decode/contenders.ts'
import { digestOf, digestOfObjects } from './digest.ts'
import { encodeResponse } from './encode-response.ts'
import { PAYLOADS, type PayloadName } from './payloads.ts'

export interface Body {
  readonly name: PayloadName
  /** Compressed, snappy. */
  readonly bytes: Uint8Array
}

/** A body, and the answers that the logs in it give, by what is asked. */
export interface Question extends Body {
  readonly expected: Expected
}

export type Expected = Readonly<Record<Workload, string>>

export interface PayloadSize {
  readonly logCount: number
  readonly messageCount: number
  /** Logs with a value that is not ASCII. */
  readonly nonAsciiLogCount: number
  readonly jsonBytes: number
  readonly protobufBytes: number
  readonly snappyBytes: number
}

export interface Payload extends Question {
  readonly size: PayloadSize
}

const SEED = 7
const BEGIN_MS = 1_700_000_000_000
const STACK_CHARACTERS = 8192
const REAL_LOG = join(ROOT, '../shared/data/access.log')

interface Recipe {
  readonly logsPerGroup: number
  /** `undefined` where the machine lacks what it takes. */
  readonly logs: () => Log[] | undefined
}

const RECIPES = {
  'access-4mb': { logsPerGroup: 1000, logs: () => accessLogs(10_000) },
  'access-1mb': { logsPerGroup: 250, logs: () => accessLogs(2500) },
  'access-real': { logsPerGroup: 1000, logs: realLogs },
  wide: { logsPerGroup: 200, logs: () => generated(2000, generators.wide(seededRandom(SEED))) },
  long: { logsPerGroup: 40, logs: () => generated(400, stackLogs(seededRandom(SEED))) },
  chinese: { logsPerGroup: 1000, logs: () => generated(8000, chineseLogs(seededRandom(SEED))) },
  tiny: { logsPerGroup: 1, logs: () => accessLogs(1) },
  incompressible: { logsPerGroup: 100, logs: () => generated(1500, noise(seededRandom(SEED))) }
} as const satisfies Record<PayloadName, Recipe>

/** `undefined` where the machine lacks what it is made from. */
export function makePayload(name: PayloadName): Payload | undefined {
  const { logsPerGroup, logs: makeLogs } = RECIPES[name]
  const logs = makeLogs()
  if (logs === undefined) return undefined
  const { text, messages } = encodeResponse(logs, logsPerGroup)
  const bytes = compress(text, 'snappy')
  const { key, text: wanted } = PAYLOADS[name].filter
  const filterCount = logs.filter(({ contents }) => contents.find(each => each.key === key)?.value === wanted).length
  if (filterCount === 0) throw new Error(`no log of the payload ${name} has ${key} = ${wanted}`)
  return {
    name,
    bytes,
    expected: {
      filter: String(filterCount),
      objects: digestOfObjects(logs.map(toObject)),
      index: String(logs.length),
      loop: String(filterCount),
      snappy: digestOf(text)
    },
    size: {
      logCount: logs.length,
      messageCount: messages.length,
      nonAsciiLogCount: logs.filter(isNotAscii).length,
      jsonBytes: text.length,
      protobufBytes: messages.reduce((total, { length }) => total + length, 0),
      snappyBytes: bytes.length
    }
  }
}

/** Access logs of eleven fields, one in 20 with Chinese text. */
export function accessLogs(count: number): Log[] {
  const nextLine = lineGenerator(SEED)
  return Array.from({ length: count }, (_, index) => lineToLog(nextLine(BEGIN_MS + index), BEGIN_MS, index))
}

function realLogs(): Log[] | undefined {
  if (!existsSync(REAL_LOG)) return undefined
  const lines = readFileSync(REAL_LOG, 'utf8').split('\n')
  return lines.filter(line => line !== '').map((line, index) => lineToLog(line, BEGIN_MS, index))
}

function generated(count: number, nextLog: (unixMs: number) => Log): Log[] {
  return Array.from({ length: count }, (_, index) => nextLog(BEGIN_MS + index))
}

/** What an application wrote, each with a trace of exactly 8 KB, put together from several. */
function stackLogs(random: SeededRandom): (unixMs: number) => Log {
  const nextLog = generators.app(random)
  return unixMs => {
    let stack = ''
    for (;;) {
      const { time, contents } = nextLog(unixMs)
      const found = contents.find(({ key }) => key === 'stack')
      if (found !== undefined) stack += `${found.value}\n`
      if (stack.length < STACK_CHARACTERS) continue
      const others = contents.filter(content => content !== found)
      return { time, contents: [...others, { key: 'stack', value: stack.slice(0, STACK_CHARACTERS) }] }
    }
  }
}

const LEVELS = ['信息', '信息', '信息', '信息', '信息', '信息', '警告', '错误'] as const
const CITIES = ['深圳市南山区', '广州市天河区', '北京市海淀区', '上海市浦东新区', '成都市武侯区'] as const
const WORDS = [
  '订单',
  '用户',
  '支付',
  '成功',
  '失败',
  '库存',
  '不足',
  '请求',
  '超时',
  '重试',
  '服务',
  '连接',
  '数据库',
  '缓存',
  '消息队列',
  '已经',
  '正在',
  '等待',
  '处理',
  '完成',
  '商品',
  '价格',
  '更新',
  '登录',
  '密码错误',
  '请稍后',
  '优惠券',
  '物流',
  '退款',
  '，'
] as const

function chineseLogs(random: SeededRandom): (unixMs: number) => Log {
  const sentence = () => Array.from({ length: between(random, 8, 30) }, () => pick(random, WORDS)).join('')
  return unixMs => ({
    time: BigInt(unixMs),
    contents: [
      { key: '级别', value: pick(random, LEVELS) },
      { key: '城市', value: pick(random, CITIES) },
      { key: 'user', value: `用户${between(random, 1, 500_000)}` },
      { key: 'message', value: sentence() },
      { key: '备注', value: sentence() }
    ]
  })
}

/** Random printable characters: snappy finds next to nothing to copy in them, and base64 needs a third more of them. */
function noise(random: SeededRandom): (unixMs: number) => Log {
  const text = (length: number) => Array.from({ length }, () => String.fromCharCode(between(random, 32, 126))).join('')
  return unixMs => ({
    time: BigInt(unixMs),
    contents: [
      { key: 'status', value: pick(random, ['200', '404', '500']) },
      ...['a', 'b', 'c', 'd'].map(key => ({ key, value: text(500) }))
    ]
  })
}

/** No payload repeats a key within a log. */
function toObject({ contents }: Log): object {
  return Object.fromEntries(contents.map(({ key, value }) => [key, value]))
}

function isNotAscii({ contents }: Log): boolean {
  return contents.some(({ value }) => /[^\0-\x7f]/.test(value))
}
