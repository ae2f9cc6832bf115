/**
 * The service as one value: control, data and upload APIs over shared connections, credentials and clock.
 *
 * In: settings, and the world's clock, timers, random numbers and log. Out: the APIs, and a way to close them.
 */
import type { Settings } from '../options.ts'
import type { Clock, ControlApi, DataApi, Logger, Random, Timers } from '../world.ts'
import { createControlApi } from './control-api.ts'
import { createCredentials } from './credentials.ts'
import { createDataApi } from './data-api.ts'
import { resolveEndpoints } from './endpoints.ts'
import { createHttp } from './http.ts'
import { createServiceClock } from './service-clock.ts'
import type { BodyMemory } from './slabs.ts'
import { createUploadApi, type UploadApi } from './upload.ts'

export type ServiceSettings = Pick<
  Settings,
  'endpoint' | 'region' | 'network' | 'credentials' | 'logsetId' | 'bodyBytesMax' | 'requestTimeoutMs' | 'callTimeoutMs'
>

export interface ServiceWorld {
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: Logger
}

export interface Service {
  readonly control: ControlApi
  readonly data: DataApi
  readonly upload: UploadApi
  /** Breaks what is under way and closes all connections. */
  close(): Promise<void>
}

/** `memory`: for the bodies of pulls, where whoever pulls frees them. */
export function createService(settings: ServiceSettings, world: ServiceWorld, memory?: BodyMemory): Service {
  const { logsetId, bodyBytesMax, requestTimeoutMs, callTimeoutMs } = settings
  const { clock, timers, log } = world
  const serviceClock = createServiceClock(clock)
  const credentials = createCredentials(settings.credentials, { now: serviceClock.now, timers, log })
  const http = createHttp({ requestTimeoutMs, memory })
  const shared = {
    ...world,
    endpoints: resolveEndpoints(settings),
    signing: { credentials, serviceClock, log },
    http,
    callTimeoutMs
  }
  return {
    control: createControlApi({ ...shared, logsetId }),
    data: createDataApi({ ...shared, bodyBytesMax }),
    upload: createUploadApi(shared),
    close: () => http.close()
  }
}
