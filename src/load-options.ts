/**
 * Options for code that wants to be configured as the command line is.
 *
 * In: options given in code, a config file, the environment. Out: all options of a consumer, complete and valid, code
 * outweighing variables, and those the file; or one error with all problems of all three.
 */
import { resolve } from 'node:path'
import { CONFIG } from './config/config-file.ts'
import { credentialsFrom } from './config/env-credentials.ts'
import { OptionCheck } from './config/option-check.ts'
import type { Env } from './config/option-sources.ts'
import { type ConsumerOptions, OPTIONS } from './options.ts'
import { locateProcessor } from './processor-source.ts'
import { OPTION_NAMES } from './resolve-options.ts'

export interface LoadOptions {
  /** YAML or JSON, by its name's ending. Where absent, CLS_CONFIG names it, if it is set. */
  readonly config?: string | undefined
  /** Variables, `CLS_…`; those of the process where absent. */
  readonly env?: Env
}

/** Name of Node's warnings from here: there is no logger yet, and an absolute path leaves the consumer nothing to warn of. */
const WARNING = 'ClsConsumerWarning'

/**
 * The options of `new Consumer(…)`: those given here, for the rest what the environment gives, for the rest what the config
 * file gives, for the rest the defaults. The access key comes from here or from the environment, never from the file. A
 * relative `processor` or `deadLetterDirectory` in the file is relative to the file's folder; where a `processor` means both
 * a file and a package, the file is taken, with a warning of the process (`ClsConsumerWarning`).
 * @throws ClsConsumerError OPTIONS_INVALID that lists everything wrong, with the variable or the line of the file.
 */
export function loadOptions(options: Partial<ConsumerOptions> = {}, from: LoadOptions = {}): ConsumerOptions {
  const { env = process.env, config } = from
  const check = new OptionCheck({}, env, CONFIG)
  const cwd = process.cwd()
  check.readConfig(cwd, config)
  const given = check.given(OPTIONS)
  const fromCode = withoutAbsent(options)
  const isOfFile = check.originOf('processor')?.kind === 'file' && fromCode.processor === undefined
  if (isOfFile && typeof given.processor === 'string') {
    // What is not there is told by `new Consumer`, after everything else that is wrong.
    const { file, warning } = locateProcessor(given.processor, check.folderOf('processor', cwd))
    given.processor = file
    if (warning !== undefined) process.emitWarning(warning, WARNING)
  }
  if (typeof given.deadLetterDirectory === 'string') {
    given.deadLetterDirectory = resolve(check.folderOf('deadLetterDirectory', cwd), given.deadLetterDirectory)
  }
  const credentials = credentialsFrom(env)
  if (credentials !== undefined) given.credentials = credentials
  return check.finishWith(OPTION_NAMES, { ...given, ...fromCode })
}

/** What is not given must not hide what the environment gives. */
function withoutAbsent(options: Partial<ConsumerOptions>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null))
}
