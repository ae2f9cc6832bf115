/**
 * Made-up logs with many fields, as a gateway writes them for analysis.
 *
 * In: random numbers, and for each log its time. Out: logs of always the same 60 fields in the same order: ids, numbers,
 * flags, names from short lists, addresses, nested JSON and a few longer texts.
 */
import type { Log } from '../cls/log-group.ts'
import { between, CHINESE_SHARE, hexDigits, pick, type SeededRandom } from './random.ts'

type ChineseField = readonly [string, readonly [string, ...string[]]]
type Make = (random: SeededRandom, unixMs: number) => string

/** Fields of which one at a time is Chinese, in one log of `CHINESE_SHARE`. */
const CHINESE: readonly [ChineseField, ...ChineseField[]] = [
  ['city', ['深圳市', '广州 天河区', '北京', '上海 浦东新区', '成都']],
  ['note', ['礼品包装，请勿放价格单', '放在门口即可', '送货前请打电话', '公司地址，工作日送达']],
  ['campaign', ['满二百减三十优惠券', '新用户首单', '双十一']]
]

const FIELDS: readonly (readonly [string, Make])[] = [
  ['request_id', uuid],
  ['trace_id', hex(32)],
  ['span_id', hex(16)],
  ['parent_span_id', hex(16)],
  ['session_id', hex(24)],
  ['ts', (_, unixMs) => new Date(unixMs).toISOString()],
  ['host', (random, _) => `gateway-${between(random, 1, 48)}.internal.example.com`],
  ['region', oneOf('ap-guangzhou', 'ap-shanghai', 'ap-beijing', 'ap-singapore', 'eu-frankfurt')],
  ['zone', oneOf('a', 'b', 'c')],
  ['cluster', oneOf('prod-1', 'prod-2', 'canary')],
  ['namespace', oneOf('shop', 'shop-api', 'payments')],
  ['pod', random => `gateway-${hexDigits(random, 10)}-${hexDigits(random, 5)}`],
  ['container_id', hex(64)],
  ['image', random => `registry.example.com/shop/gateway:1.${between(random, 0, 30)}.${between(random, 0, 9)}`],
  ['node_ip', address],
  ['client_ip', address],
  ['client_port', integer(1024, 65_535)],
  ['forwarded_for', random => `${address(random)}, ${address(random)}`],
  ['method', oneOf('GET', 'GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE')],
  ['scheme', oneOf('https')],
  ['authority', oneOf('api.example.com', 'www.example.com', 'm.example.com')],
  ['path', random => `/api/v${between(random, 1, 3)}/items/${between(random, 1, 99_999)}`],
  ['query', random => `page=${between(random, 1, 40)}&size=20&sort=price&nonce=${hexDigits(random, 12)}`],
  ['protocol', oneOf('HTTP/2', 'HTTP/1.1', 'HTTP/3')],
  ['status', oneOf('200', '200', '200', '200', '200', '200', '304', '404', '500')],
  ['grpc_status', oneOf('', '', '0', '14')],
  ['request_bytes', integer(0, 20_000)],
  ['response_bytes', integer(100, 200_000)],
  ['duration_ms', decimal(900, 3)],
  ['upstream_ms', decimal(850, 3)],
  ['queue_ms', decimal(20, 3)],
  ['tls_version', oneOf('TLSv1.3', 'TLSv1.2')],
  ['tls_cipher', oneOf('TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256')],
  ['upstream_host', random => `${address(random)}:8080`],
  ['upstream_cluster', oneOf('items', 'orders', 'users', 'search')],
  ['retry_count', oneOf('0', '0', '0', '1', '2')],
  ['cache', oneOf('hit', 'miss', 'bypass', 'stale')],
  ['user_id', integer(1, 5_000_000)],
  ['user_level', oneOf('guest', 'member', 'gold', 'staff')],
  ['account_id', random => String(BigInt(between(random, 1, 900)) * 10n ** 16n + BigInt(between(random, 0, 2 ** 31)))],
  ['device', oneOf('iPhone15,2', 'Pixel 8', 'SM-S918B', 'desktop', 'iPad13,4')],
  ['os', oneOf('iOS 17.5', 'Android 14', 'Windows 11', 'macOS 14.5')],
  ['app_version', random => `7.${between(random, 0, 12)}.${between(random, 0, 40)}`],
  ['language', oneOf('zh-CN', 'en-US', 'de-DE', 'ja-JP')],
  ['user_agent', random => `ShopApp/7.${between(random, 0, 12)} (build ${between(random, 1000, 9999)}; scale 3.00)`],
  ['referrer', random => `https://www.example.com/c/${between(random, 1, 500)}`],
  ['campaign', oneOf('', '', 'spring', 'newsletter-17', 'app-push')],
  ['experiment', random => `checkout-${pick(random, ['a', 'b', 'c'])}`],
  ['feature_flags', random => JSON.stringify({ newCart: random() < 0.5, fastPay: random() < 0.2 })],
  ['item_id', integer(1, 99_999)],
  ['item_count', integer(1, 12)],
  ['price', decimal(5000, 2)],
  ['currency', oneOf('CNY', 'CNY', 'USD', 'EUR')],
  ['latitude', decimal(90, 6)],
  ['longitude', decimal(180, 6)],
  ['rate_limited', oneOf('false', 'false', 'false', 'true')],
  ['sampled', oneOf('true', 'false')],
  ['city', oneOf('Shenzhen', 'Guangzhou', 'Beijing', 'Shanghai', 'Chengdu')],
  [
    'note',
    oneOf('', '', 'gift wrap', 'call before delivery', 'leave at the door of the neighbour on the ground floor')
  ],
  ['checksum', hex(40)]
]

const NONE = [undefined, ['']] as const

export function wideLogs(random: SeededRandom): (unixMs: number) => Log {
  return unixMs => {
    const [chineseField, values] = random() < CHINESE_SHARE ? pick(random, CHINESE) : NONE
    const contents = FIELDS.map(([key, make]) => ({
      key,
      value: key === chineseField ? pick(random, values) : make(random, unixMs)
    }))
    return { time: BigInt(unixMs), contents }
  }
}

function hex(digitCount: number): Make {
  return random => hexDigits(random, digitCount)
}

function integer(least: number, most: number): Make {
  return random => String(between(random, least, most))
}

/** Small ones are the most frequent, as with times and prices. */
function decimal(most: number, digits: number): Make {
  return random => (random() ** 3 * most).toFixed(digits)
}

function oneOf(...values: readonly [string, ...string[]]): Make {
  return random => pick(random, values)
}

function address(random: SeededRandom): string {
  return `10.${between(random, 0, 255)}.${between(random, 0, 255)}.${between(random, 1, 254)}`
}

function uuid(random: SeededRandom): string {
  const digits = hexDigits(random, 32)
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join(
    '-'
  )
}
