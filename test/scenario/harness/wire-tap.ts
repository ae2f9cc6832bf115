/**
 * A tap on the wire between consumers and server: sees every request and answer, can hold a request up, and alter an answer.
 *
 * In: HTTP requests. Out: the same to the server, its answers back, and a record of each. It holds no rule of the
 * service. `Host` stays as the client wrote it, since it is signed.
 */
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse
} from 'node:http'
import { decompress } from '../../../src/cls/compression.ts'
import { int64, isRecord, type Json, parseJson } from '../../../src/cls/json.ts'
import { nowMs, until } from './until.ts'

export interface Exchange {
  /** `SendConsumerHeartbeat`, …, or `pull_log`, `structuredlog`. */
  readonly action: string
  readonly topicId: string | undefined
  /** Of control requests and pulls. */
  readonly request: Record<string, Json>
  /** When it arrived here: later than its sending, earlier than its arrival at the server. */
  readonly receivedMs: number
  /** Undefined while it is under way, and for good where the server broke it off. */
  answer: TappedAnswer | undefined
}

export interface TappedAnswer {
  readonly status: number
  readonly body: Buffer
  readonly compression: 'snappy' | 'lz4' | 'none'
  readonly atMs: number
}

/**
 * What becomes of an answer of the server, which has done what it was asked: undefined passes it on as it is, a body
 * takes the place of its own, `lost` breaks the connection. The answer waits for as long as this takes.
 */
export type Tamper = (exchange: Exchange, answer: TappedAnswer) => TamperedAnswer | Promise<TamperedAnswer>
export type TamperedAnswer = Buffer | 'lost' | undefined

export class WireTap {
  readonly exchanges: Exchange[] = []
  tamper: Tamper = () => undefined
  /** A request waits here for as long as this takes, and then goes on, also where its client has given it up. */
  hold: (exchange: Exchange) => Promise<void> | undefined = () => undefined
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true })
  readonly #target: URL

  private constructor(target: string) {
    this.#target = new URL(target)
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  static async open(target: string): Promise<WireTap> {
    const tap = new WireTap(target)
    await new Promise<void>(resolve => tap.#server.listen(0, '127.0.0.1', resolve))
    return tap
  }

  get endpoint(): string {
    const address = this.#server.address()
    if (typeof address !== 'object' || address === null) throw new Error('the tap is closed')
    return `http://127.0.0.1:${address.port}`
  }

  /** Requests of one consumer and action, in the order of arrival. */
  of(action: string, consumer?: string): Exchange[] {
    return this.exchanges.filter(
      exchange => exchange.action === action && (consumer === undefined || exchange.request.Consumer === consumer)
    )
  }

  /** Waits for this many further ones of these requests that the server grants. */
  async granted(action: string, count: number): Promise<void> {
    const isGranted = ({ answer }: Exchange): boolean =>
      answer?.status === 200 && !answer.body.toString().includes('"Error"')
    const before = this.of(action).filter(isGranted).length
    await until(`${count} more of ${action}`, () => this.of(action).filter(isGranted).length >= before + count)
  }

  async close(): Promise<void> {
    const closed = new Promise<void>(resolve => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    this.#agent.destroy()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const receivedMs = nowMs()
    const body = await readAll(request)
    const url = new URL(request.url ?? '/', this.#target)
    const exchange: Exchange = {
      action: String(request.headers['x-tc-action'] ?? url.pathname.slice(1)),
      topicId: url.searchParams.get('topic_id') ?? undefined,
      request: request.headers['content-type'] === 'application/json' ? recordOf(body) : {},
      receivedMs,
      answer: undefined
    }
    this.exchanges.push(exchange)
    await this.hold(exchange)
    const message = await this.#forward(request, body)
    const answered = {
      status: message.statusCode ?? 502,
      body: await readAll(message),
      compression: compressionOf(message),
      atMs: nowMs()
    }
    const tampered = await this.tamper(exchange, answered)
    if (tampered === 'lost') {
      response.destroy()
      return
    }
    const sent = tampered ?? answered.body
    exchange.answer = { ...answered, body: sent, atMs: nowMs() }
    const { 'content-length': _, 'transfer-encoding': __, connection: ___, ...headers } = message.headers
    response.writeHead(answered.status, { ...headers, 'content-length': sent.length })
    response.end(sent)
  }

  #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const { hostname, port } = this.#target
    return new Promise((resolve, reject) => {
      const options = { hostname, port, method, path: url, headers, agent: this.#agent }
      httpRequest(options, resolve).on('error', reject).end(body)
    })
  }
}

export interface PullAnswer {
  readonly nextOffset: bigint | undefined
  readonly messages: readonly string[]
}

const PLAIN_BYTES_MAX = 2 ** 26

/** What a pull was answered; undefined for an error, or none. `answer` is its own, before it is tampered with. */
export function readPull({ action, answer: sent }: Exchange, answer = sent): PullAnswer | undefined {
  if (action !== 'pull_log' || answer === undefined || answer.status !== 200) return undefined
  const { Response: response } = recordOf(decompress(answer.body, answer.compression, PLAIN_BYTES_MAX))
  if (!isRecord(response) || response.Error !== undefined) return undefined
  const { NextOffset: next, Message: messages } = response
  return { nextOffset: int64(next), messages: Array.isArray(messages) ? messages.map(String) : [] }
}

/** Pulls of a partition from this offset that brought messages. */
export function pullsFrom(tap: WireTap, partition: number, startOffset: bigint | undefined): Exchange[] {
  return tap
    .of('pull_log')
    .filter(({ request }) => request.PartitionId === partition && int64(request.StartOffset) === startOffset)
    .filter(exchange => (readPull(exchange)?.messages.length ?? 0) > 0)
}

function compressionOf({ headers }: IncomingMessage): TappedAnswer['compression'] {
  const named = headers['x-cls-compress-type']
  return named === 'snappy' || named === 'lz4' ? named : 'none'
}

/** The partitions that a request names, under `Partitions` (heartbeat) or `PartitionOffsets` (commit). */
export function partitionsIn({
  request
}: Exchange): { topicId: string; partition: number; offset: bigint | undefined }[] {
  const topics = request.TopicPartitionsInfo ?? request.TopicPartitionOffsetsInfo
  return (Array.isArray(topics) ? topics : []).flatMap(topic => {
    if (!isRecord(topic)) return []
    const listed = topic.Partitions ?? topic.PartitionOffsets
    return (Array.isArray(listed) ? listed : []).map(entry => ({
      topicId: String(topic.TopicID),
      partition: Number(isRecord(entry) ? entry.PartitionId : entry),
      offset: isRecord(entry) ? int64(entry.Offset) : undefined
    }))
  })
}

async function readAll(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) if (chunk instanceof Buffer) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function recordOf(body: Uint8Array): Record<string, Json> {
  const parsed = parseJson(Buffer.from(body).toString())
  return isRecord(parsed) ? parsed : {}
}
