/** Valid settings for tests of the stages. */
import type { ConsumerOptions, Settings } from '../../src/options.ts'
import { resolveOptions } from '../../src/resolve-options.ts'

export const REQUIRED = {
  endpoint: 'http://127.0.0.1:1',
  credentials: { secretId: 'an-id', secretKey: 'a-secret-key' },
  logsetId: 'logset',
  topicIds: ['topic-a'],
  group: 'group',
  // Some file: the worlds of these tests load none.
  processor: import.meta.filename
} as const satisfies ConsumerOptions

export function settingsWith(options: Partial<ConsumerOptions> = {}): Settings {
  return resolveOptions({ ...REQUIRED, ...options })
}
