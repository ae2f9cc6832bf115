/**
 * A real HTTP server on 127.0.0.1 that answers as a test says, and remembers what it was asked.
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'

export interface Received {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** A reply, or what to do with the response by hand. */
export type Scripted = Reply | ((response: ServerResponse) => void)

export interface ScriptedServer {
  readonly origin: string
  readonly received: Received[]
  /** Connections accepted so far. */
  readonly connectionCount: number
  close(): Promise<void>
}

/** `answer` is asked for each request, with its number from 0. */
export async function startServer(answer: (request: Received, index: number) => Scripted): Promise<ScriptedServer> {
  const received: Received[] = []
  let connectionCount = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      const { url = '', headers } = request
      const entry = { url, headers, body: Buffer.concat(chunks).toString() }
      received.push(entry)
      const scripted = answer(entry, received.length - 1)
      if (typeof scripted === 'function') scripted(response)
      else response.writeHead(scripted.status ?? 200, scripted.headers).end(scripted.body)
    })
  })
  server.on('connection', () => connectionCount++)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    origin: `http://127.0.0.1:${address.port}`,
    received,
    get connectionCount() {
      return connectionCount
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

/** An answer of the management plane. */
export function ok(response: object): Reply {
  return { body: JSON.stringify({ Response: { RequestId: 'request-1', ...response } }) }
}

export function refusal(code: string, message = 'no', status = 200): Reply {
  return {
    status,
    body: JSON.stringify({ Response: { Error: { Code: code, Message: message }, RequestId: 'request-1' } })
  }
}
