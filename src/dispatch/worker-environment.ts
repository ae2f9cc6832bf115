/**
 * The environment that worker threads get.
 *
 * In: this process's environment. Out: the same without the service's credentials (I9). User code runs in threads, and
 * what is not there cannot be printed by it.
 */
const SECRETS: readonly RegExp[] = [/^CLS_SECRET_ID$/i, /^CLS_SECRET_KEY$/i, /^CLS_TOKEN$/i, /^TENCENTCLOUD_/i]

export function workerEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined && !SECRETS.some(secret => secret.test(name))) kept[name] = value
  }
  return kept
}
