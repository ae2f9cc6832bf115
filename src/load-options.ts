/**
 * Options for code that wants to be configured as the command line is.
 *
 * In: options given in code, a config file, the environment. Out: all options of a consumer, complete and valid, code
 * outweighing variables, and those the file; or one error with all problems of all three.
 */
import { resolve } from 'node:path'
import { CONFIG } from './cli/config-file.ts'
import { credentialsFrom, type Env, OptionCheck } from './cli/option-flags.ts'
import { ClsConsumerError } from './errors.ts'
import { type ConsumerOptions, OPTIONS } from './options.ts'
import { findProcessor } from './processor-source.ts'
import { OPTION_NAMES } from './resolve-options.ts'

export interface LoadOptions {
  /** YAML or JSON, by its name's ending. Where absent, CLS_CONFIG names it, if it is set. */
  readonly config?: string | undefined
  /** Variables, `CLS_…`; those of the process where absent. */
  readonly env?: Env
}

/**
 * The options of `new Consumer(…)`: those given here, for the rest what the environment gives, for the rest what the config
 * file gives, for the rest the defaults. The access key comes from here or from the environment, never from the file. A
 * relative `processor` in the file is relative to the file's folder.
 * @throws ClsConsumerError OPTIONS_INVALID that lists everything wrong, with the variable or the line of the file.
 */
export function loadOptions(options: Partial<ConsumerOptions> = {}, from: LoadOptions = {}): ConsumerOptions {
  const { env = process.env, config } = from
  const check = new OptionCheck({}, env, CONFIG)
  const cwd = process.cwd()
  check.readConfig(cwd, config)
  const given = check.given(OPTIONS)
  if (typeof given.processor === 'string' && check.originOf('processor')?.kind === 'file') {
    given.processor = seenFrom(check.folderOf('processor', cwd), given.processor)
  }
  const credentials = credentialsFrom(env)
  if (credentials !== undefined) given.credentials = credentials
  return check.finishWith(OPTION_NAMES, { ...given, ...withoutAbsent(options) })
}

/** As the command line sees it. What is not there is told by `new Consumer`, after everything else that is wrong. */
function seenFrom(folder: string, processor: string): string {
  try {
    return findProcessor(processor, folder).file
  } catch (error) {
    if (!(error instanceof ClsConsumerError)) throw error
    return processor.startsWith('file:') ? processor : resolve(folder, processor)
  }
}

/** What is not given must not hide what the environment gives. */
function withoutAbsent(options: Partial<ConsumerOptions>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null))
}
