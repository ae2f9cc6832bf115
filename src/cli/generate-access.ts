/**
 * Made-up access-log lines that look like a web shop's.
 *
 * In: random numbers, and for each line its time. Out: lines in the combined format. Popularity of paths and clients
 * falls as in practice (Zipf). The lines of a seed never change: documents show them.
 */
import { printAccessLine, printAccessTime } from './access-log.ts'
import { between, CHINESE_SHARE, pick, pickByShare, type SeededRandom, zipf } from './random.ts'

const PATH_COUNT = 400
const CLIENT_COUNT = 3000

const SECTIONS = ['products', 'articles', 'images', 'api/v1/orders', 'api/v1/cart', 'users', 'static'] as const
const PLACES = ['shoes', 'lamps', 'books', 'tea', 'bikes', 'chairs', 'maps', 'radios', 'pens', 'coats'] as const
const SEARCHES = [
  '运动鞋',
  '台灯 护眼',
  '茶叶 龙井',
  '自行车 配件',
  '中文小说',
  '复古收音机',
  '地图集',
  '羊毛大衣'
] as const
const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  'Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'curl/8.6.0'
] as const

const STATUSES = [
  [885, '200'],
  [900, '206'],
  [925, '301'],
  [955, '304'],
  [962, '403'],
  [990, '404'],
  [996, '500'],
  [1000, '503']
] as const

/** Returns the next line, without its line feed, for a request at `unixMs`. */
export function accessLines(random: SeededRandom): (unixMs: number) => string {
  const paths = Array.from({ length: PATH_COUNT }, (_, rank) => makePath(random, rank))
  const clients = Array.from({ length: CLIENT_COUNT }, () => makeClient(random))
  const pathRank = zipf(PATH_COUNT)
  const clientRank = zipf(CLIENT_COUNT)
  return unixMs => {
    const path = paths[pathRank(random)] ?? '/'
    const client = clients[clientRank(random)] ?? { ip: '127.0.0.1', agent: '-' }
    const status = pickByShare(random, STATUSES)
    const search = random() < CHINESE_SHARE ? pick(random, SEARCHES) : undefined
    return printAccessLine({
      ip: client.ip,
      user: random() < 0.03 ? `user${Math.floor(random() * 500)}` : '-',
      time: printAccessTime(unixMs),
      request: `${random() < 0.08 ? 'POST' : 'GET'} ${path} HTTP/1.1`,
      status,
      bytes: status === '304' ? '0' : String(Math.floor(200 + random() ** 3 * 80_000)),
      referrer: makeReferrer(random, search),
      agent: client.agent
    })
  }
}

function makePath(random: SeededRandom, rank: number): string {
  if (rank === 0) return '/'
  const section = pick(random, SECTIONS)
  const extension = section === 'images' ? '.png' : section === 'static' ? '.css' : ''
  return `/${section}/${pick(random, PLACES)}-${rank}${extension}`
}

function makeClient(random: SeededRandom): { ip: string; agent: string } {
  const bytes = [between(random, 1, 223), between(random, 0, 255), between(random, 0, 255), between(random, 1, 254)]
  return { ip: bytes.join('.'), agent: pick(random, AGENTS) }
}

function makeReferrer(random: SeededRandom, search: string | undefined): string {
  if (search !== undefined) return `https://www.example.cn/search?q=${search.replace(' ', '+')}`
  return random() < 0.45 ? '-' : `https://shop.example.com/${pick(random, PLACES)}`
}
