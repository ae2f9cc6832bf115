/**
 * What the stages may touch: clock, timers, random numbers, files, the service, threads, and the log.
 *
 * Only types stand here, so that every stage can be run on virtual time against another world. The real adapters are
 * `real-world.ts` (clock, timers, random, files), `cls/` (the service), `dispatch/pool.ts` (threads), `observe/logger.ts`.
 * No stage reads the time, sets a timer or rolls a die by any other way (a test checks).
 */
import type { FromThread, ThreadAnswer, ThreadTask, ToThread } from './dispatch/messages.ts'
import type { ClsConsumerError, Failure } from './errors.ts'

export interface Clock {
  /** Wall time, Unix milliseconds. For signatures, log lines and `stopAt`; never for measuring a wait. */
  now(): number
  /** Milliseconds on the process-wide monotonic clock (the one worker threads read too). */
  monotonic(): number
}

export interface Timer {
  cancel(): void
}

export interface Timers {
  /** Calls `fire` once, `delayMs` from now. */
  after(delayMs: number, fire: () => void): Timer
  /** Resolves after `delayMs`; rejects with the signal's reason as soon as it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>
}

export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Lower-case hexadecimal, two digits a byte. */
  hex(byteCount: number): string
}

export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null | undefined>>

export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export interface CallOptions {
  /** Deadline of the whole call with its retries, in ms; the client's default where absent. */
  readonly deadlineMs?: number
  /** Of one try, in ms: a lost answer then leaves time for another one. */
  readonly tryMs?: number
  readonly signal?: AbortSignal
  /** What to do with a try whose fate is unknown (no answer, or none in time): `retry`, the default, or tell. */
  readonly whenUnsure?: 'retry' | 'fail'
  /**
   * Asked right before each try is sent, the first one too; once false, always false: nothing more is sent, and the call
   * ends with CALL_WITHDRAWN, or with what the last try was refused for. With `whenUnsure: 'fail'`, so that no earlier
   * try can be in doubt then.
   */
  readonly maySend?: () => boolean
}

export interface TopicPartitions {
  readonly topicId: string
  readonly partitions: readonly number[]
}

export interface PartitionOffset {
  readonly topicId: string
  readonly partition: number
  readonly offset: bigint
}

export interface ConsumerGroup {
  readonly group: string
  readonly timeoutSeconds: number
  readonly topicIds: readonly string[]
}

export interface PartitionDescription {
  readonly partition: number
  readonly status: 'readwrite' | 'readonly'
  /** Hash key range, 32 lower-case hex digits each; the end is exclusive. */
  readonly beginKey: string
  readonly endKey: string
  /** As the service writes it. */
  readonly createTime: string
}

/** A position a consumer may ask for: the log's ends, or Unix seconds. */
export type Position = 'begin' | 'end' | number

/**
 * The management plane. Every method retries by remedy within its deadline, and throws one `ClsConsumerError`
 * (`API_…`, `CREDENTIALS_UNAVAILABLE`) when it gives up. Actions and fields: the service's API reference, 2020-10-16.
 */
export interface ControlApi {
  describeConsumerGroups(topicIds: readonly string[], call?: CallOptions): Promise<ConsumerGroup[]>
  /** Resolves to false where the group existed already (and was left as it was). */
  createConsumerGroup(group: ConsumerGroup, call?: CallOptions): Promise<boolean>
  modifyConsumerGroup(group: ConsumerGroup, call?: CallOptions): Promise<void>
  deleteConsumerGroup(group: string, call?: CallOptions): Promise<void>
  /** Says what is still held; resolves to what should be held. */
  sendConsumerHeartbeat(
    beat: { readonly group: string; readonly consumer: string; readonly held: readonly TopicPartitions[] },
    call?: CallOptions
  ): Promise<TopicPartitions[]>
  /**
   * Committed offsets, or what `from` names where there is none. With `own: true` (OffsetType 1) the log's own
   * position, whatever is committed. A partition that the service gave no offset for is absent from the map.
   */
  describeConsumerOffsets(
    ask: {
      readonly group: string
      readonly topicId: string
      readonly partition?: number
      readonly from: Position
      readonly own?: boolean
    },
    call?: CallOptions
  ): Promise<Map<number, bigint>>
  commitConsumerOffsets(
    commit: { readonly group: string; readonly consumer: string; readonly offsets: readonly PartitionOffset[] },
    call?: CallOptions
  ): Promise<void>
  describePartitions(topicId: string, call?: CallOptions): Promise<PartitionDescription[]>
  splitPartition(
    split: {
      readonly topicId: string
      readonly partition: number
      readonly count?: number
      /** Into two, cut here: 32 hex digits within the partition's range. Takes the place of `count`. */
      readonly splitKey?: string
    },
    call?: CallOptions
  ): Promise<PartitionDescription[]>
  mergePartition(
    merge: { readonly topicId: string; readonly partition: number },
    call?: CallOptions
  ): Promise<PartitionDescription[]>
}

export type Compression = 'snappy' | 'lz4' | 'none'

export interface PullRequest {
  readonly topicId: string
  readonly partition: number
  /** int64; -1 is taken as the beginning. */
  readonly startOffset: bigint
  /** Asked for, in bytes; the service may answer with more. */
  readonly sizeBytes: number
  /** Unix seconds; only for a bounded run. */
  readonly endTime?: number
  /** Server-side filter (CLS DSL). */
  readonly query?: string
}

/** Which pull. */
export type Pulled = Pick<PullRequest, 'topicId' | 'partition' | 'startOffset'>

/** A response as it came, still compressed, in memory that every thread can read, until it is freed. */
export interface PulledBody {
  readonly bytes: SharedArrayBuffer
  /** How many of `bytes` are the body's. */
  readonly byteCount: number
  readonly compression: Compression
  readonly requestId: string | undefined
}

/** What a running pull tells: the bytes received so far, always from the body's first one. */
export interface PullProgress {
  readonly received: Uint8Array
  readonly compression: Compression
}

export interface DataApi {
  /**
   * One try, no retry (the pull chain owns pace and retries). Throws `API_…`, `BODY_TOO_LARGE`; an `{"Error"}` inside
   * a compressed 200 is not seen here. `onProgress` runs on the main thread with each chunk: it must be short.
   */
  pull(
    request: PullRequest,
    hooks: { readonly signal: AbortSignal; readonly onProgress?: (progress: PullProgress) => void }
  ): Promise<PulledBody>
  /**
   * The memory of a body goes to a later one: from here on nobody reads it, on any thread. Once for each body that a pull
   * has brought. The scout alone may still be at it, whose word on it nobody takes any more.
   */
  free(body: PulledBody): void
  /**
   * Takes an error that stood inside a compressed 200, as read elsewhere: what it shows about token and clock is put
   * right, as for any refused try. Returns it under the code that its `serviceCode` has, without secrets (I9).
   */
  heed(error: ClsConsumerError): ClsConsumerError
  /** The response pulled from there has been read, and holds no refusal: what the pull was signed with is good. */
  worked(pulled: Pulled): void
}

/** Reads responses off the main thread and off the lanes: for `NextOffset`, and for dead letters. */
export interface Scout {
  /** `undefined` where it has none, where it cannot be read, or not in time: the worker has the last word. Never rejects. */
  nextOffset(body: PulledBody): Promise<bigint | undefined>
  /**
   * Every message of a response as it stands there, for the dead letters. One response at a time.
   * @throws ClsConsumerError BODY_CORRUPT, BODY_TOO_LARGE, API_… (the response cannot be read), POOL_BROKEN, THREAD_LOST
   */
  harvest(body: PulledBody): Promise<Harvest>
}

export interface Harvest {
  readonly nextOffset: bigint | undefined
  /** JSON, a text of base64 as a rule. */
  readonly messages: readonly Uint8Array[]
}

/**
 * Whose fault the end of a thread is, as far as can be told:
 * - none: not this consumer's: somebody had it terminated, or only code of others had run there.
 * - work: it ended by itself with a batch, `start` or `assign` of this consumer there, whose run rejects.
 * - others: by itself, with such work of others, and none of this consumer.
 * - own: by itself, with no such work of anybody, and no code but this consumer's had run there.
 * - unknown: likewise, but code of several had run there, or of nobody.
 */
export type EndFault = 'none' | 'work' | 'others' | 'own' | 'unknown'

/** How a thread ended, as one consumer sees it. */
export interface ThreadEnd {
  readonly fault: EndFault
  readonly exitCode: number
  /** What nobody caught, where it ended of that. */
  readonly error: Failure | undefined
  /** How many threads of this number have ended by themselves with no work of anybody, since a batch was processed there. */
  readonly idleCount: number
}

/** What a thread has done since it booted, its predecessors of this number included. Neither ever gets less. */
export interface ThreadWork {
  /** How long its event loop was not idle, ms: once in one piece of code that does not return, all the time. */
  readonly busyMs: number
  /** What the batches processed there took by their own account, of all consumers, ms: their waits are in it. */
  readonly batchMs: number
}

/** What the pool of threads tells the dispatcher. Threads are numbered 0 … count - 1; a replacement keeps the number. */
export interface ThreadHandlers {
  onMessage(thread: number, message: FromThread): void
  /** The thread's `Worker` has emitted `exit`: nothing of it runs any more. Its pending `run`s reject after this. */
  onExit(thread: number, end: ThreadEnd): void
  /** Somebody had the thread terminated, maybe another consumer that shares it: its batches are not to blame. */
  onKilled(thread: number): void
  /** The thread has failed by itself, and its exit will follow: what is given to it now would only be lost. */
  onFailing(thread: number): void
  /** A replacement is up and has its port. `start` has not run on it. */
  onReplaced(thread: number): void
  /** The pool is beyond repair (`POOL_BROKEN`, `THREAD_STUCK`). */
  onBroken(error: Error): void
}

export interface Threads {
  readonly count: number
  /** Batches of this consumer that may be open on one thread at a time. */
  readonly batchesPerThread: number
  /** Where its first partition is seated: consumers that share threads begin on different ones. */
  readonly firstThread: number
  /** Boots every thread, unless another consumer has, and gives each its port. Nothing is told before it resolves. */
  boot(handlers: ThreadHandlers): Promise<void>
  /**
   * Runs a task on one thread and resolves to its answer. Rejects with `THREAD_LOST`, and only once that thread's
   * `Worker` has emitted `exit` (I2), if the thread dies first.
   */
  run(thread: number, task: ThreadTask): Promise<ThreadAnswer>
  /** What was done under this number so far. What a thread did between the last look and its exit is not known. */
  work(thread: number): ThreadWork
  /** Sends a message by the thread's own port. Dropped where the thread is gone. */
  post(thread: number, message: ToThread): void
  /** Terminates one thread: `onKilled`, then its exit. Rejects with `THREAD_STUCK` after `threadExitMs`. */
  kill(thread: number): Promise<void>
  /** This consumer needs them no more. Where no other does, all end; resolves once every one has exited. */
  close(): Promise<void>
}

/** A file that one writer appends to. */
export interface AppendFile {
  /** Writes some of the bytes at its end; resolves to how many. */
  write(bytes: Uint8Array): Promise<number>
  /** Resolves once what was written is on disk. */
  sync(): Promise<void>
  /** Whether its path still leads to it: nobody removed or moved it. */
  isInPlace(): Promise<boolean>
  /** Leaves its first `byteCount` bytes. */
  truncate(byteCount: number): Promise<void>
  close(): Promise<void>
}

/** The files of this host. What the system refuses rejects with its own error, whose `code` is its name: `ENOSPC`. */
export interface Files {
  /** With those above it; for its owner alone. Resolves once their entries are on disk. */
  makeDirectory(path: string): Promise<void>
  /** Resolves once the directory's entries are on disk. */
  syncDirectory(path: string): Promise<void>
  /** A new file, for its owner alone. Rejects with `EEXIST` where there is one. */
  create(path: string): Promise<AppendFile>
  remove(path: string): Promise<void>
  /** The names in a directory. */
  list(path: string): Promise<string[]>
  /** In chunks, which may share their memory. */
  read(path: string): AsyncIterable<Uint8Array>
}

export interface World {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Logger
  readonly control: ControlApi
  readonly data: DataApi
  readonly scout: Scout
  readonly threads: Threads
  readonly files: Files
}
