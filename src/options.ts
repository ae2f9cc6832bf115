/**
 * Every option, once: type, default, bounds, environment variable, help.
 *
 * The types `ConsumerOptions` (what a user gives) and `Settings` (what the stages get), the validation, the flags of the
 * command line and the README's table all derive from `OPTIONS`.
 */
import { availableParallelism } from 'node:os'
import { COMMIT_MODES, FAILURE_POLICIES } from './dispatch/messages.ts'
import type { SharedThreads } from './dispatch/shared-threads.ts'
import { ClsConsumerError } from './errors.ts'
import {
  anyValue,
  choice,
  flag,
  integer,
  list,
  type OptionRow,
  position,
  required,
  row,
  text,
  Wrong,
  withDefault
} from './option-kinds.ts'
import type { Position } from './world.ts'

export interface Credentials {
  readonly secretId: string
  readonly secretKey: string
  /** Of temporary credentials. */
  readonly token?: string
  /** Unix ms; a provider is asked again before this. */
  readonly expiresAtMs?: number
}

export type CredentialsProvider = () => Credentials | Promise<Credentials>

/** Where and when the processed batch was, beside its result. */
export interface ResultPlace {
  readonly topicId: string
  readonly partition: number
  readonly startOffset: bigint
  readonly nextOffset: bigint
  readonly logCount: number
}

export type OnResult = (result: unknown, place: ResultPlace) => unknown

const credentialsRow = row<Credentials | CredentialsProvider>(
  'value',
  '`{ secretId, secretKey, token? }` or an async function that returns it with `expiresAtMs`',
  {
    help: 'Access key; on the command line from CLS_SECRET_ID, CLS_SECRET_KEY and CLS_TOKEN alone',
    service: 'SecretId, SecretKey, Token'
  },
  input => {
    if (typeof input === 'function') return async () => checkCredentials(await input())
    return isCredentials(input) ? input : new Wrong('{ secretId, secretKey } of texts, or a function that returns it')
  }
)

/** Secrets are never part of an error (I9), so this says only what is missing. */
export function checkCredentials(input: unknown): Credentials {
  if (isCredentials(input)) return input
  throw new ClsConsumerError(
    'CREDENTIALS_UNAVAILABLE',
    'the credentials provider returned no { secretId, secretKey } of texts'
  )
}

function isCredentials(input: unknown): input is Credentials {
  if (typeof input !== 'object' || input === null) return false
  if (!('secretId' in input) || typeof input.secretId !== 'string' || input.secretId === '') return false
  if (!('secretKey' in input) || typeof input.secretKey !== 'string' || input.secretKey === '') return false
  if ('token' in input && input.token !== undefined && typeof input.token !== 'string') return false
  return !('expiresAtMs' in input) || input.expiresAtMs === undefined || typeof input.expiresAtMs === 'number'
}

const onResultRow = row<OnResult>(
  'value',
  'function',
  { help: 'Called on the main thread with what `process` returned, in order per partition, and awaited' },
  input => (isOnResult(input) ? input : new Wrong('a function'))
)

function isOnResult(input: unknown): input is OnResult {
  return typeof input === 'function'
}

const sharedThreadsRow = row<SharedThreads>(
  'value',
  '`SharedThreads`',
  { help: 'Threads that this consumer shares with others of the process; `threads` and `batchesPerThread` are theirs' },
  input => (isSharedThreads(input) ? input : new Wrong('new SharedThreads(…)'))
)

/** By its shape: what makes threads is loaded by those who make them. */
function isSharedThreads(input: unknown): input is SharedThreads {
  return typeof input === 'object' && input !== null && 'client' in input && typeof input.client === 'function'
}

const MIB = 1024 * 1024

/** Of `heldBytesMax`: what may be held compressed, or reserved for it. */
export const PULLED_SHARE = 0.625
/** Of `heldBytesMax`: what all threads together may keep of the memory of closed batches. The rest is for open ones. */
export const KEPT_SHARE = 0.125

/** One row an option. Order is the order of help and README. */
export const OPTIONS = {
  endpoint: text({
    env: 'CLS_ENDPOINT',
    flag: 'endpoint',
    help: 'Server of both planes in full, such as http://127.0.0.1:9320; instead of region and network',
    pattern: /^https?:\/\/[^/?#\s]+\/?$/,
    expected: 'http:// or https:// and a host, without a path'
  }),
  region: text({
    env: 'CLS_REGION',
    flag: 'region',
    service: 'X-TC-Region',
    help: 'Region, such as ap-guangzhou',
    pattern: /^[a-z0-9-]+$/,
    expected: 'a region such as ap-guangzhou'
  }),
  network: withDefault(
    'public',
    choice(['public', 'intranet', 'international'], {
      env: 'CLS_NETWORK',
      flag: 'network',
      help: 'Which hosts of the region: from anywhere, from inside the Tencent Cloud network, or of an international account'
    })
  ),
  credentials: required(credentialsRow),
  logsetId: required(text({ env: 'CLS_LOGSET_ID', flag: 'logset', service: 'LogsetId', help: 'Logset of the topics' })),
  topicIds: required(
    list({
      env: 'CLS_TOPIC_IDS',
      flag: 'topic',
      service: 'Topics',
      item: 'topic id',
      help: 'Topics to consume, all of one logset'
    })
  ),
  group: required(
    text({
      env: 'CLS_GROUP',
      flag: 'group',
      service: 'ConsumerGroup',
      help: 'Consumer group; created where absent',
      pattern: /^[A-Za-z0-9._-]{1,255}$/,
      expected: 'a name of at most 255 letters, digits, "_", "-"'
    })
  ),
  consumer: text({
    env: 'CLS_CONSUMER',
    flag: 'consumer',
    service: 'Consumer',
    help: 'Name of this consumer, unique in the group: two of one name both process everything',
    defaultText: 'made of host, pid and chance',
    pattern: /^[A-Za-z0-9._-]{1,255}$/,
    expected: 'a name of at most 255 letters, digits, "_", "-"'
  }),
  updateGroup: withDefault(
    false,
    flag({
      env: 'CLS_UPDATE_GROUP',
      flag: 'update-group',
      help: 'Let this consumer remove other topics from an existing group'
    })
  ),
  processor: required(
    text({
      env: 'CLS_PROCESSOR',
      flag: 'processor',
      help: "Module of the processor: a path (relative to the working folder, or the config file's), a file: URL or the name of a package"
    })
  ),
  processorOptions: anyValue({
    env: 'CLS_PROCESSOR_OPTIONS',
    flag: 'processor-options',
    help: "The processor's `context.options`"
  }),
  onResult: onResultRow,
  startFrom: withDefault<Position>(
    'end',
    position(['begin', 'end'], {
      env: 'CLS_START_FROM',
      flag: 'start-from',
      service: 'From',
      help: 'Where a partition without a committed offset starts'
    })
  ),
  stopAt: position(['begin', 'end', 'now'], {
    env: 'CLS_STOP_AT',
    flag: 'stop-at',
    service: 'EndTime',
    help: 'Process what was stored before this, then end; `now` and `end` are the moment of assignment',
    defaultText: 'never'
  }),
  query: text({ env: 'CLS_QUERY', flag: 'query', service: 'Query', help: 'Server-side filter in the CLS DSL' }),
  onInvalidOffset: withDefault(
    'stop',
    choice(['stop', 'begin', 'end'], {
      env: 'CLS_ON_INVALID_OFFSET',
      flag: 'on-invalid-offset',
      help: 'What to do where the service says that an offset is expired or beyond the end'
    })
  ),
  threads: withDefault(
    availableParallelism(),
    integer({
      env: 'CLS_THREADS',
      flag: 'threads',
      help: 'Worker threads that decode and process',
      defaultText: 'one a core',
      min: 1,
      max: 256,
      unit: 'threads'
    })
  ),
  batchesPerThread: withDefault(
    4,
    integer({
      env: 'CLS_BATCHES_PER_THREAD',
      flag: 'batches-per-thread',
      help: 'Batches of different partitions open on one thread at a time',
      min: 1,
      max: 64,
      unit: 'batches'
    })
  ),
  balanceIntervalMs: withDefault(
    10_000,
    integer({
      env: 'CLS_BALANCE_INTERVAL_MS',
      flag: 'balance-interval-ms',
      help: 'How often threads are compared: where one is full and another idles, a partition moves; 0: never, as in commit mode manual',
      min: 0,
      max: 3_600_000,
      unit: 'ms'
    })
  ),
  threadHeapMb: integer({
    env: 'CLS_THREAD_HEAP_MB',
    flag: 'thread-heap-mb',
    help: 'JavaScript heap of one thread, past which it ends and its batches are tried again',
    defaultText: "Node's own",
    min: 32,
    max: 1_048_576,
    unit: 'MiB'
  }),
  sharedThreads: sharedThreadsRow,
  pullBytes: withDefault(
    2 * MIB,
    integer({
      env: 'CLS_PULL_BYTES',
      flag: 'pull-bytes',
      service: 'Size',
      help: 'Bytes asked for in one pull',
      min: 1024,
      max: 10 * MIB,
      unit: 'bytes'
    })
  ),
  heldBytesMax: withDefault(
    256 * MIB,
    integer({
      env: 'CLS_HELD_BYTES_MAX',
      flag: 'held-bytes-max',
      help: 'Budget of bytes held: compressed, reserved for pulls, decoded, kept by threads',
      min: 4 * MIB,
      max: 1024 * 1024 * MIB,
      unit: 'bytes'
    })
  ),
  bodyBytesMax: withDefault(
    32 * MIB,
    integer({
      env: 'CLS_BODY_BYTES_MAX',
      flag: 'body-bytes-max',
      help: 'Largest response accepted, compressed',
      min: 1024,
      max: 1024 * MIB,
      unit: 'bytes'
    })
  ),
  responseBytesMax: withDefault(
    64 * MIB,
    integer({
      env: 'CLS_RESPONSE_BYTES_MAX',
      flag: 'response-bytes-max',
      help: 'Largest response accepted, decompressed',
      min: 1024,
      max: 1024 * MIB,
      unit: 'bytes'
    })
  ),
  heartbeatIntervalMs: withDefault(
    20_000,
    integer({
      env: 'CLS_HEARTBEAT_INTERVAL_MS',
      flag: 'heartbeat-interval-ms',
      service: 'Timeout = 2 × this',
      help: 'Time between heartbeats; the group timeout is twice this, in whole seconds',
      min: 1000,
      max: 300_000,
      step: 500,
      unit: 'ms'
    })
  ),
  pollIntervalMs: withDefault(
    1000,
    integer({
      env: 'CLS_POLL_INTERVAL_MS',
      flag: 'poll-interval-ms',
      help: 'Time between pulls of a partition that has nothing new',
      min: 50,
      max: 60_000,
      unit: 'ms'
    })
  ),
  commitIntervalMs: withDefault(
    3000,
    integer({
      env: 'CLS_COMMIT_INTERVAL_MS',
      flag: 'commit-interval-ms',
      help: 'Time between commits of progress',
      min: 50,
      max: 300_000,
      unit: 'ms'
    })
  ),
  requestTimeoutMs: withDefault(
    10_000,
    integer({
      env: 'CLS_REQUEST_TIMEOUT_MS',
      flag: 'request-timeout-ms',
      help: 'Connecting, waiting for the first byte, and silence within a body, each at most this long',
      min: 100,
      max: 300_000,
      unit: 'ms'
    })
  ),
  callTimeoutMs: withDefault(
    60_000,
    integer({
      env: 'CLS_CALL_TIMEOUT_MS',
      flag: 'call-timeout-ms',
      help: 'A whole control call with its retries; a heartbeat ends within its interval in any case',
      min: 1000,
      max: 3_600_000,
      unit: 'ms'
    })
  ),
  drainTimeoutMs: withDefault(
    30_000,
    integer({
      env: 'CLS_DRAIN_TIMEOUT_MS',
      flag: 'drain-timeout-ms',
      help: 'How long an open batch may go on after its partition was revoked, before `signal` aborts',
      min: 0,
      max: 3_600_000,
      unit: 'ms'
    })
  ),
  abortGraceMs: withDefault(
    5000,
    integer({
      env: 'CLS_ABORT_GRACE_MS',
      flag: 'abort-grace-ms',
      help: 'How long it may go on after the abort, before its thread is terminated',
      min: 0,
      max: 600_000,
      unit: 'ms'
    })
  ),
  threadExitMs: withDefault(
    10_000,
    integer({
      env: 'CLS_THREAD_EXIT_MS',
      flag: 'thread-exit-ms',
      help: 'How long a terminated thread may take to exit, before the process stops with an error',
      min: 100,
      max: 600_000,
      unit: 'ms'
    })
  ),
  attempts: withDefault(
    5,
    integer({
      env: 'CLS_ATTEMPTS',
      flag: 'attempts',
      help: 'How often a batch that fails, or a result that `onResult` refuses, is tried in all',
      min: 1,
      max: 1_000_000,
      unit: 'attempts'
    })
  ),
  backoffMs: withDefault(
    500,
    integer({
      env: 'CLS_BACKOFF_MS',
      flag: 'backoff-ms',
      help: 'Wait before the second attempt; doubled for each further one',
      min: 0,
      max: 600_000,
      unit: 'ms'
    })
  ),
  backoffMaxMs: withDefault(
    30_000,
    integer({
      env: 'CLS_BACKOFF_MAX_MS',
      flag: 'backoff-max-ms',
      help: 'Longest wait between two attempts',
      min: 0,
      max: 3_600_000,
      unit: 'ms'
    })
  ),
  processTimeoutMs: withDefault(
    600_000,
    integer({
      env: 'CLS_PROCESS_TIMEOUT_MS',
      flag: 'process-timeout-ms',
      help: "How long the processor's `process` may take, before `signal` aborts",
      min: 10,
      max: 86_400_000,
      unit: 'ms'
    })
  ),
  onFailure: withDefault(
    'stop',
    choice(FAILURE_POLICIES, {
      env: 'CLS_ON_FAILURE',
      flag: 'on-failure',
      help: "What becomes of a batch after its last attempt, and of what cannot be decoded; a processor's own `onFailure` goes before"
    })
  ),
  deadLetterDirectory: text({
    env: 'CLS_DEAD_LETTER_DIRECTORY',
    flag: 'dead-letter-directory',
    help: "Folder for dead letters, relative to the working folder, or the config file's; made where absent"
  }),
  deadLetterFileBytesMax: withDefault(
    64 * MIB,
    integer({
      env: 'CLS_DEAD_LETTER_FILE_BYTES_MAX',
      flag: 'dead-letter-file-bytes-max',
      help: 'A dead-letter file is followed by a new one at this size',
      min: 1024,
      max: 1024 * 1024 * MIB,
      unit: 'bytes'
    })
  ),
  resultsMax: withDefault(
    1000,
    integer({
      env: 'CLS_RESULTS_MAX',
      flag: 'results-max',
      help: 'Results that may wait for `onResult`, or be on their way to it; past this no batch is opened',
      min: 1,
      max: 1_000_000,
      unit: 'results'
    })
  ),
  commitMode: withDefault(
    'auto',
    choice(COMMIT_MODES, {
      env: 'CLS_COMMIT_MODE',
      flag: 'commit-mode',
      help: 'What is committed: everything processed, or (`manual`) what the processor has marked by `context.save()`'
    })
  ),
  stallMs: withDefault(
    120_000,
    integer({
      env: 'CLS_STALL_MS',
      flag: 'stall-ms',
      help: 'A partition that has something to do and makes no progress for this long is reported',
      min: 1000,
      max: 86_400_000,
      unit: 'ms'
    })
  ),
  onStall: withDefault(
    'report',
    choice(['report', 'stop'], {
      env: 'CLS_ON_STALL',
      flag: 'on-stall',
      help: 'Whether such a partition is reported alone, or stops the consumer'
    })
  ),
  hookTimeoutMs: withDefault(
    60_000,
    integer({
      env: 'CLS_HOOK_TIMEOUT_MS',
      flag: 'hook-timeout-ms',
      help: "How long the processor's `start`, `assign`, `revoke` and `stop` may each take",
      min: 100,
      max: 3_600_000,
      unit: 'ms'
    })
  ),
  logLevel: withDefault(
    'info',
    choice(['debug', 'info', 'warn', 'error', 'silent'], {
      env: 'CLS_LOG_LEVEL',
      flag: 'log-level',
      help: 'Least level of the lines written to standard error'
    })
  )
} as const satisfies Record<string, OptionRow<unknown>>

type Rows = typeof OPTIONS
export type OptionName = keyof Rows
type Value<R> = R extends OptionRow<infer T> ? T : never
type Sure = {
  [K in OptionName]: Rows[K] extends { readonly required: true } | { readonly default: NonNullable<unknown> }
    ? K
    : never
}[OptionName]

/** Complete and valid: what the stages get. */
export type Settings = { readonly [K in Sure]: Value<Rows[K]> } & {
  readonly [K in Exclude<OptionName, Sure>]: Value<Rows[K]> | undefined
}

type Required_ = { [K in OptionName]: Rows[K] extends { readonly required: true } ? K : never }[OptionName]
/** What a user may write where the table keeps Unix seconds. */
type Written<K extends OptionName> = K extends 'startFrom' | 'stopAt' ? Value<Rows[K]> | string | Date : Value<Rows[K]>

/** What a user gives to `new Consumer(…)`. */
export type ConsumerOptions = { readonly [K in Required_]: Written<K> } & {
  readonly [K in Exclude<OptionName, Required_>]?: Written<K> | undefined
}
