/**
 * The management plane: one method an action.
 *
 * In: what a consumer wants to say. Out: what the service says to it, after retries by remedy within the call's
 * deadline, each try signed anew and within the service's rate. Actions and fields: the service's API reference,
 * version 2020-10-16. Must never happen: an error read as an empty answer (I6), an offset as a double (I10), a try that
 * the caller does not want any more.
 */
import { ClsConsumerError, type ErrorPlace } from '../errors.ts'
import { errorFields } from '../observe/error-fields.ts'
import type {
  CallOptions,
  ConsumerGroup,
  ControlApi,
  Logger,
  PartitionOffset,
  Position,
  TopicPartitions
} from '../world.ts'
import { type Asked, readControlAnswer } from './answer.ts'
import { readConsumerGroups, readOffsets, readPartitions, readTopicPartitions } from './control-answers.ts'
import { type Endpoints, hostOf } from './endpoints.ts'
import type { Http } from './http.ts'
import { type Json, type Printable, printJson } from './json.ts'
import { createLimiter } from './limiter.ts'
import { isUnsure, type RetryWorld, retry } from './retry.ts'
import { signTc3 } from './sign-tc3.ts'
import { type Signing, trySigned } from './signing.ts'

export interface ControlApiOptions extends RetryWorld {
  readonly endpoints: Endpoints
  readonly logsetId: string
  readonly signing: Signing
  readonly http: Http
  readonly log: Logger
  /** Deadline of a call that names none. */
  readonly callTimeoutMs: number
}

const API_VERSION = '2020-10-16'
const CONTENT_TYPE = 'application/json'
/** The largest answer known, 50 partitions of each of many topics, is far below this. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024
/** Of all partitions, the server assigns by its strategy 2, as the official SDKs ask. */
const PARTITION_STRATEGY = 2
/** `OffsetType` that asks for the log's own position, whatever is committed. */
const OWN_OFFSETS = 1
/** The service has no code for it; with `X-TC-Language: zh-CN` the text is this one. */
const GROUP_EXISTS = 'consumer group already exists'

type Fields = Readonly<Record<string, Json>>
type Read<T> = (response: Fields, asked: Asked) => T

export function createControlApi(options: ControlApiOptions): ControlApi {
  const { logsetId: LogsetId } = options
  const call = createCall(options)
  const nothing = () => undefined
  const groupBody = ({ group, timeoutSeconds, topicIds }: ConsumerGroup) => {
    return { LogsetId, ConsumerGroup: group, Timeout: timeoutSeconds, Topics: topicIds }
  }

  return {
    describeConsumerGroups: (topicIds, how) =>
      call(
        'DescribeConsumerGroups',
        { LogsetId, Topics: topicIds.length === 0 ? undefined : topicIds },
        {},
        readConsumerGroups,
        how
      ),

    async createConsumerGroup(group, how) {
      try {
        await call('CreateConsumerGroup', groupBody(group), {}, nothing, how)
        return true
      } catch (error) {
        if (saysGroupExists(error)) return false
        throw error
      }
    },

    modifyConsumerGroup: (group, how) => call('ModifyConsumerGroup', groupBody(group), {}, nothing, how),

    deleteConsumerGroup: (group, how) =>
      call('DeleteConsumerGroup', { LogsetId, ConsumerGroup: group }, {}, nothing, how),

    sendConsumerHeartbeat({ group, consumer, held }, how) {
      const TopicPartitionsInfo = held.map(topicPartitionsBody)
      const beat = {
        ConsumerGroup: group,
        Consumer: consumer,
        TopicPartitionsInfo,
        PartitionStrategy: PARTITION_STRATEGY
      }
      return call('SendConsumerHeartbeat', { LogsetId, ...beat }, {}, readTopicPartitions, how)
    },

    describeConsumerOffsets({ group, topicId, partition, from, own = false }, how) {
      const body = {
        LogsetId,
        ConsumerGroup: group,
        TopicId: topicId,
        PartitionId: partition?.toString(), // a string, here alone
        From: fromBody(from),
        OffsetType: own ? OWN_OFFSETS : undefined
      }
      const place = { topicId, ...(partition === undefined ? {} : { partition }) }
      return call('DescribeConsumerOffsets', body, place, (fields, asked) => readOffsets(fields, topicId, asked), how)
    },

    commitConsumerOffsets({ group, consumer, offsets }, how) {
      const TopicPartitionOffsetsInfo = offsetsBody(offsets)
      const body = { LogsetId, ConsumerGroup: group, Consumer: consumer, TopicPartitionOffsetsInfo }
      return call('CommitConsumerOffsets', body, onlyPlace(offsets), nothing, how)
    },

    describePartitions: (topicId, how) =>
      call('DescribePartitions', { TopicId: topicId }, { topicId }, readPartitions, how),

    splitPartition({ topicId, partition, count = 2, splitKey }, how) {
      const into = splitKey === undefined ? { Number: count } : { SplitKey: splitKey }
      const body = { TopicId: topicId, PartitionId: partition, ...into }
      return call('SplitPartition', body, { topicId, partition }, readPartitions, how)
    },

    mergePartition: ({ topicId, partition }, how) =>
      call('MergePartition', { TopicId: topicId, PartitionId: partition }, { topicId, partition }, readPartitions, how)
  }
}

type Call = <T>(action: string, body: Printable, at: ErrorPlace, read: Read<T>, how?: CallOptions) => Promise<T>

function createCall(options: ControlApiOptions): Call {
  const { endpoints, signing, http, log, callTimeoutMs } = options
  const limiter = createLimiter(options)
  const origin = endpoints.controlOrigin
  const host = hostOf(origin)

  return (action, body, at, read, how = {}) => {
    const place: ErrorPlace = { action, ...at }
    const text = printJson(body)
    const { maySend = () => true, whenUnsure = 'retry' } = how
    const attempt = async (signal: AbortSignal, checkDeadline: () => void) => {
      await limiter.wait(action, signal, place)
      return trySigned(signing, place, async ({ credentials, nowSeconds, secrets }) => {
        const { secretId, secretKey, token } = credentials
        const headers = {
          'Content-Type': CONTENT_TYPE,
          'X-TC-Action': action,
          'X-TC-Version': API_VERSION,
          'X-TC-Timestamp': String(nowSeconds),
          'X-TC-Language': 'zh-CN',
          ...(endpoints.region === undefined ? {} : { 'X-TC-Region': endpoints.region }),
          // The API's name for it, and the one that the log SDKs send.
          ...(token === undefined ? {} : { 'X-TC-Token': token, 'X-Cls-Token': token }),
          Authorization: signTc3({ secretId, secretKey, host, contentType: CONTENT_TYPE, body: text, nowSeconds })
        }
        const bodyBytesMax = ANSWER_BYTES_MAX
        // Not earlier: the turn, the credentials, the wait since the last try and that for a connection take their time.
        const onSend = () => {
          checkDeadline()
          if (!maySend()) throw new ClsConsumerError('CALL_WITHDRAWN', 'what it was to say holds no longer', place)
        }
        const answer = await http.request({
          origin,
          path: '/',
          headers,
          body: text,
          signal,
          place,
          bodyBytesMax,
          onSend
        })
        signing.serviceClock.observe(answer.headers.get('date'))
        const success = readControlAnswer(answer, { place, secrets })
        return read(success.response, success.asked)
      })
    }
    const isRetried = (error: ClsConsumerError) =>
      maySend() && !saysGroupExists(error) && (whenUnsure === 'retry' || !isUnsure(error))
    const onRetry = (error: ClsConsumerError, waitMs: number) =>
      log.warn('retried', { ...errorFields(error, { ...at, action }), waitMs: Math.round(waitMs) })
    return retry(
      attempt,
      { deadlineMs: how.deadlineMs ?? callTimeoutMs, tryMs: how.tryMs, signal: how.signal, place, isRetried, onRetry },
      options
    )
  }
}

/** The one place where the text of a message decides: the service leaves no code. */
function saysGroupExists(error: unknown): boolean {
  return error instanceof ClsConsumerError && error.message.includes(GROUP_EXISTS)
}

function topicPartitionsBody({ topicId, partitions }: TopicPartitions) {
  return { TopicID: topicId, Partitions: partitions }
}

function fromBody(from: Position): string {
  return typeof from === 'number' ? String(Math.floor(from)) : from
}

function offsetsBody(offsets: readonly PartitionOffset[]) {
  const byTopic = new Map<string, { PartitionId: number; Offset: bigint }[]>()
  for (const { topicId, partition, offset } of offsets) {
    const entries = byTopic.get(topicId) ?? []
    byTopic.set(topicId, [...entries, { PartitionId: partition, Offset: offset }])
  }
  return [...byTopic].map(([TopicID, PartitionOffsets]) => ({ TopicID, PartitionOffsets }))
}

/** The place of a commit, where it is about one partition. */
function onlyPlace(offsets: readonly PartitionOffset[]): ErrorPlace {
  const [only, ...others] = offsets
  return only === undefined || others.length > 0 ? {} : only
}
