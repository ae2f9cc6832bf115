/**
 * Made-up logs of an application, as a Java service behind a shop writes them.
 *
 * In: random numbers, and for each log its time. Out: logs with level, logger, thread, trace id and message; errors
 * mostly, and some warnings, with a stack trace of some KB over many lines.
 */
import type { Content, Log } from '../cls/log-group.ts'
import { between, CHINESE_SHARE, hexDigits, pick, pickByShare, type SeededRandom, zipf } from './random.ts'

type Make = (random: SeededRandom) => string

const LEVELS = [
  [120, 'DEBUG'],
  [900, 'INFO'],
  [960, 'WARN'],
  [1000, 'ERROR']
] as const
type Level = (typeof LEVELS)[number][1]

/** Of the logs of a level, those with a stack trace. */
const STACK_SHARES = { DEBUG: 0, INFO: 0, WARN: 0.1, ERROR: 0.7 } as const satisfies Record<Level, number>

const MODULES = ['order', 'cart', 'payment', 'stock', 'user', 'search', 'mail', 'invoice'] as const
const ROLES = ['Service', 'Controller', 'Repository', 'Client', 'Listener', 'Scheduler'] as const
const POOLS = ['http-nio-8080-exec', 'kafka-consumer', 'scheduling', 'ForkJoinPool.commonPool-worker'] as const
const METHODS = ['handle', 'load', 'store', 'lambda$process$0', 'invoke', 'doFilter', 'execute', 'accept'] as const
const LIBRARIES = [
  'org.springframework.web.servlet.FrameworkServlet',
  'org.springframework.transaction.interceptor.TransactionInterceptor',
  'org.apache.catalina.core.ApplicationFilterChain',
  'org.hibernate.internal.SessionImpl',
  'io.netty.channel.AbstractChannelHandlerContext',
  'java.util.concurrent.ThreadPoolExecutor',
  'java.base/java.lang.Thread'
] as const
const EXCEPTIONS = [
  'java.net.SocketTimeoutException: Read timed out',
  'java.lang.IllegalStateException: Order is in state SHIPPED',
  'java.lang.NullPointerException: Cannot invoke "com.example.shop.user.User.id()" because "user" is null',
  'org.springframework.dao.DataIntegrityViolationException: could not execute statement',
  'com.example.shop.payment.PaymentRefusedException: code=51'
] as const
const CHINESE_MESSAGES = [
  '订单创建成功，等待付款',
  '库存不足，请稍后重试',
  '用户登录失败：密码错误',
  '支付回调处理完成',
  '短信发送失败，已加入重试队列',
  '商品价格已更新'
] as const

const MESSAGES: readonly [Make, ...Make[]] = [
  random => `order ${order(random)} created for user ${between(random, 1, 500_000)} in ${ms(random)} ms`,
  random =>
    `GET http://stock.internal/api/v2/items/${order(random)}?warehouse=${between(random, 1, 12)} 200 ${ms(random)} ms`,
  random => `cache miss for key cart:${order(random)}, loaded ${between(random, 0, 40)} items`,
  random => `published event OrderPlaced partition=${between(random, 0, 23)} size=${between(random, 200, 4000)}`,
  random => `slow query took ${ms(random)} ms: select * from orders o join items i on i.order_id = o.id where o.id = ?`
]

const LOGGERS = MODULES.flatMap(module => ROLES.map(role => loggerName(module, role)))
const FRAMES_MIN = 20
const FRAMES_MAX = 60

export function appLogs(random: SeededRandom): (unixMs: number) => Log {
  const loggerRank = zipf(LOGGERS.length)
  return unixMs => {
    const level: Level = pickByShare(random, LEVELS)
    const logger = LOGGERS[loggerRank(random)] ?? 'com.example.shop.Main'
    const contents: Content[] = [
      { key: 'level', value: level },
      { key: 'logger', value: logger },
      { key: 'thread', value: `${pick(random, POOLS)}-${between(random, 1, 32)}` },
      { key: 'trace_id', value: hexDigits(random, 32) },
      {
        key: 'message',
        value: random() < CHINESE_SHARE ? pick(random, CHINESE_MESSAGES) : pick(random, MESSAGES)(random)
      }
    ]
    if (random() < STACK_SHARES[level]) contents.push({ key: 'stack', value: makeStack(random, logger) })
    return { time: BigInt(unixMs), contents }
  }
}

function loggerName(module: string, role: string): string {
  return `com.example.shop.${module}.${module.charAt(0).toUpperCase()}${module.slice(1)}${role}`
}

function order(random: SeededRandom): number {
  return between(random, 10_000_000, 99_999_999)
}

/** Most are short, a few are seconds. */
function ms(random: SeededRandom): number {
  return Math.floor(2 + random() ** 4 * 3000)
}

function makeStack(random: SeededRandom, logger: string): string {
  const lines: string[] = [pick(random, EXCEPTIONS)]
  const frameCount = between(random, FRAMES_MIN, FRAMES_MAX)
  for (let frame = 0; frame < frameCount; frame++) {
    if (frame === frameCount >> 1) lines.push(`Caused by: ${pick(random, EXCEPTIONS)}`)
    const type = frame < 3 ? logger : random() < 0.3 ? pick(random, LOGGERS_LISTED) : pick(random, LIBRARIES)
    const file = type.slice(type.lastIndexOf('.') + 1)
    lines.push(`\tat ${type}.${pick(random, METHODS)}(${file}.java:${between(random, 20, 1800)})`)
  }
  return lines.join('\n')
}

/** `pick` wants a list that is known not to be empty. */
const LOGGERS_LISTED: readonly [string, ...string[]] = ['com.example.shop.Main', ...LOGGERS]
