/**
 * `cls-consumer produce`: logs from a file, or made up, into topics.
 *
 * In: flags, environment. Out: uploads, progress on standard error, and closing lines on standard output that account for
 * every log read, also where it was stopped or failed on the way. Must never happen: a duplicate, or a log whose fate is
 * unknown, that the closing lines do not mention.
 *
 * Ending: a stop ends reading; what was read is sent still, within `STOP_GRACE_MS`. The command fails where a log that was
 * read is not known to be stored.
 */
import { createService } from '../cls/service.ts'
import type { Args } from '../config/option-sources.ts'
import { ClsConsumerError } from '../errors.ts'
import { createLogger, printable } from '../observe/logger.ts'
import type { Timer, Timers } from '../world.ts'
import type { CommandWorld } from './command-world.ts'
import { bar, count } from './format.ts'
import { type SourceTally, sourceLogs } from './log-source.ts'
import { type ProducePlan, producePlan } from './produce-plan.ts'
import { closingLines } from './produce-report.ts'
import { createScreen, type Screen } from './screen.ts'
import { every } from './ticker.ts'
import { type UploadOutcome, type UploadTally, uploadLogs } from './upload-logs.ts'

export { produceFlags } from './produce-plan.ts'

/** @throws ClsConsumerError of the options, of the file, or the first upload that failed for good. */
export async function produce(args: Args, world: CommandWorld): Promise<void> {
  const plan = producePlan(args, world)
  const screen = createScreen(world.stderr)
  const startedMs = world.clock.monotonic()
  const read: SourceTally = { badLineCount: 0, noTimeCount: 0, noKeyCount: 0 }
  const uploaded = await uploadAll(plan, read, world, screen).finally(() => screen.close())
  const { from, key } = plan.source
  const lines = closingLines({
    uploaded,
    read,
    topicCount: plan.upload.topicIds.length,
    ms: world.clock.monotonic() - startedMs,
    isStopped: world.stop.aborted,
    logsPerSecond: plan.upload.logsPerSecond,
    timeField: 'kind' in from ? undefined : from.timeField,
    keyField: key !== undefined && 'field' in key ? key.field : undefined
  })
  for (const line of lines) world.stdout.write(`${line}\n`)
  const [failure, ...others] = uploaded.failures
  for (const other of others) world.stderr.write(`${printable(String(other))}\n`)
  if (failure !== undefined) throw failure
}

async function uploadAll(
  { settings, source, upload: plan, whenUnsure }: ProducePlan,
  read: SourceTally,
  world: CommandWorld,
  screen: Screen
): Promise<UploadOutcome> {
  const { clock, timers, random, stop, stderr } = world
  const log = createLogger({ level: settings.logLevel, write: line => screen.aside(() => stderr.write(line)) })
  // Uploads name topics alone.
  const service = createService({ ...settings, logsetId: '' }, { clock, timers, random, log })
  const cut = cutAfter(stop, timers)
  const progress = showProgress(screen, world, source.countMax)
  try {
    return await uploadLogs(ended => sourceLogs(source, { clock, ended, tally: read, say: screen.line }), plan, {
      upload: request => service.upload.upload({ ...request, whenUnsure }, { signal: cut.signal }),
      clock,
      timers,
      stop,
      onProgress: progress.show
    })
  } finally {
    progress.cancel()
    cut.release()
    await service.close()
  }
}

/** What was read is sent after a stop, so that it is not lost; a server that is down must not hold us. */
const STOP_GRACE_MS = 3000

function cutAfter(stop: AbortSignal, timers: Timers): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController()
  let timer: Timer | undefined
  const arm = () => {
    timer = timers.after(STOP_GRACE_MS, () =>
      controller.abort(new ClsConsumerError('API_TIMEOUT', `uploads were not done ${STOP_GRACE_MS} ms after the stop`))
    )
  }
  stop.addEventListener('abort', arm, { once: true })
  return {
    signal: controller.signal,
    release: () => {
      stop.removeEventListener('abort', arm)
      timer?.cancel()
    }
  }
}

/** A line a second, or on a terminal a status that moves. */
function showProgress(
  screen: Screen,
  { timers, clock }: CommandWorld,
  countMax: number
): { readonly show: (tally: UploadTally) => void; cancel(): void } {
  const startedMs = clock.monotonic()
  let tally: UploadTally | undefined
  const ticker = every(timers, screen.live ? 200 : 1000, () => {
    const { storedCount = 0, retryCount = 0 } = tally ?? {}
    const perSecond = Math.round((storedCount * 1000) / Math.max(1, clock.monotonic() - startedMs))
    const retries = retryCount === 0 ? '' : `, ${count(retryCount)} tried again`
    const text = `${count(storedCount)} logs uploaded, ${count(perSecond)} logs/s${retries}`
    if (!screen.live) screen.line(text)
    else screen.status(Number.isFinite(countMax) ? `${bar(storedCount / countMax, 30)} ${text}` : text)
  })
  return {
    show: latest => {
      tally = latest
    },
    cancel: ticker.cancel
  }
}
