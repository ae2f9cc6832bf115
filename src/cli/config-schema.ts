/**
 * `cls-consumer config-schema`: the JSON schema of the config file, for editors and checks.
 *
 * In: the option table. Out: a JSON Schema (draft 2020-12) that accepts what `run --config` accepts of each value by
 * itself. It does not ask for any option, since flags and variables can give it, and knows no contradictions. Pure.
 */
import { SCHEMA_KEY, WRITABLE } from '../config/config-file.ts'
import { OptionCheck } from '../config/option-check.ts'
import type { Args } from '../config/option-sources.ts'
import type { OptionRow, ValueSchema } from '../option-kinds.ts'
import type { CommandWorld } from './command-world.ts'

interface DescribedSchema extends ValueSchema {
  readonly description: string
  readonly default?: unknown
}

export interface ConfigSchema {
  readonly $schema: string
  readonly title: string
  readonly description: string
  readonly type: 'object'
  readonly properties: Readonly<Record<string, DescribedSchema>>
  readonly additionalProperties: false
}

export function configSchema(): ConfigSchema {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'cls-consumer',
    description: 'Options of `cls-consumer run`. Environment variables outweigh it, and flags outweigh those.',
    type: 'object',
    properties: {
      [SCHEMA_KEY]: { description: 'Where an editor finds this schema', type: 'string' },
      ...Object.fromEntries(WRITABLE.map(([name, row]) => [name, describe(row)]))
    },
    additionalProperties: false
  }
}

function describe(row: OptionRow<unknown>): DescribedSchema {
  const { schema, help, flag, env, defaultText } = row
  const ways = [flag === undefined ? [] : `--${flag}`, env ?? []].flat().join(', ')
  const fallback = defaultText === undefined ? '' : ` Default: ${defaultText}.`
  return {
    description: `${help}.${fallback} (${ways})`,
    ...schema,
    // What a default in words stands for depends on the host.
    ...(row.default === undefined || defaultText !== undefined ? {} : { default: row.default })
  }
}

/** @throws ClsConsumerError OPTIONS_INVALID: it has no flags. */
export function printConfigSchema(args: Args, { stdout }: Pick<CommandWorld, 'stdout'>): void {
  new OptionCheck(args, {}, {}).finish()
  stdout.write(`${JSON.stringify(configSchema(), null, 2)}\n`)
}
