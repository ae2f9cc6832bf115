/**
 * Which hosts to speak to.
 *
 * In: region and network, or one endpoint in full. Out: the origins of both planes, and the region to name in requests.
 * Pure. Must never happen: user and password of an endpoint URL going on into a header or a log line (I9).
 */
import { ClsConsumerError } from '../errors.ts'
import type { Settings } from '../options.ts'

export interface Endpoints {
  /** Management plane, such as `https://cls.ap-guangzhou.tencentcloudapi.com`. */
  readonly controlOrigin: string
  /** Data plane, such as `https://ap-guangzhou.cls.tencentcs.com`. */
  readonly dataOrigin: string
  /** For `X-TC-Region`; unknown where only an endpoint is given. */
  readonly region: string | undefined
}

/** @throws ClsConsumerError OPTIONS_INVALID where neither endpoint nor region is usable. */
export function resolveEndpoints(settings: Pick<Settings, 'endpoint' | 'region' | 'network'>): Endpoints {
  const { endpoint, region, network } = settings
  if (endpoint !== undefined) {
    const origin = originOf(endpoint)
    return { controlOrigin: origin, dataOrigin: origin, region }
  }
  if (region === undefined) throw new ClsConsumerError('OPTIONS_INVALID', 'neither endpoint nor region is given')
  switch (network) {
    case 'public':
      return hosts(`cls.${region}.tencentcloudapi.com`, `${region}.cls.tencentcs.com`, region)
    case 'intranet':
      return hosts('cls.internal.tencentcloudapi.com', `${region}.cls.tencentyun.com`, region)
    case 'international':
      return hosts('cls.intl.tencentcloudapi.com', `${region}.cls.tencentcs.com`, region)
  }
}

/** The `Host` header of requests to an origin: the port only where it is not the scheme's own. */
export function hostOf(origin: string): string {
  return new URL(origin).host
}

function hosts(control: string, data: string, region: string): Endpoints {
  return { controlOrigin: `https://${control}`, dataOrigin: `https://${data}`, region }
}

function originOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new ClsConsumerError('OPTIONS_INVALID', 'endpoint is not an http:// or https:// URL')
  }
  return url.origin
}
