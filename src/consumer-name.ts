/** Names of consumers and groups: a default that every page of the service accepts, and a warning for what some refuse. */
import { hostname } from 'node:os'
import type { Logger, Random } from './world.ts'

/** Accepted everywhere; the service's pages disagree about the rest. */
const SAFE_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/
const HOST_CHARACTERS_MAX = 60

/** Made of host, pid and chance: two consumers of one name would steal each other's partitions. */
export function chooseName(random: Random, host = hostname(), pid = process.pid): string {
  const safeHost = host.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, HOST_CHARACTERS_MAX)
  return `c-${safeHost}-${pid}-${random.hex(4)}`
}

export function warnOfName(log: Logger, what: string, name: string): void {
  if (SAFE_NAME.test(name)) return
  log.warn(`the ${what} name may be refused: use a letter first, then letters, digits, "_" and "-"`, { name })
}
