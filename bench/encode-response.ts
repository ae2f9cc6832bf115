/** From logs to the text of a response, as `pull_log` answers it. */
import { encodeLogGroup, encodeMessage, type Log } from '../src/cls/log-group.ts'
import { START_OFFSET } from './payloads.ts'

export interface EncodedResponse {
  readonly text: Buffer
  readonly messages: readonly Buffer[]
}

export function encodeResponse(logs: readonly Log[], logsPerGroup: number): EncodedResponse {
  const header = { timestamp: logs[0]?.time ?? 0n, accountUin: 1n, logsetId: 'logset', topicId: 'topic' }
  const messages: Buffer[] = []
  for (let at = 0; at < logs.length; at += logsPerGroup) {
    const group = {
      logs: logs.slice(at, at + logsPerGroup),
      source: '10.0.0.1',
      filename: '/var/log/app.log',
      logTags: []
    }
    messages.push(encodeMessage(header, encodeLogGroup(group)))
  }
  const Message = messages.map(message => message.toString('base64'))
  const NextOffset = Number(START_OFFSET) + messages.length
  return { text: Buffer.from(JSON.stringify({ Response: { NextOffset, Message, RequestId: 'bench' } })), messages }
}
