#!/usr/bin/env node
/**
 * The command line: argv → command.
 *
 * In: arguments, environment, signals. Out: one command's work, and the exit code: 0 done, 1 failed, 2 the user must
 * mend something first, 130 or 143 after a second signal. The only place that ends the process, with `cli/signals.ts`
 * the only one that sees signals, and the only one that imports yargs. No secret is read from a flag or written (I9).
 */
import { readFileSync } from 'node:fs'
import yargs, { type Argv } from 'yargs'
import { hideBin } from 'yargs/helpers'
import { bench, benchFlags } from './cli/bench.ts'
import type { CommandWorld } from './cli/command-world.ts'
import { printConfigSchema } from './cli/config-schema.ts'
import { deadLettersEpilogue, listDeadLetters, listFlags, showDeadLetters, showFlags } from './cli/dead-letters.ts'
import { demo, demoFlags } from './cli/demo.ts'
import { emulatorEpilogue, emulatorOptions, runEmulator } from './cli/emulator.ts'
import { EXIT, exitCodeOf, failureText } from './cli/failure-text.ts'
import { refuseSecretFlags } from './cli/option-flags.ts'
import { produce, produceFlags } from './cli/produce.ts'
import { run, runFlags } from './cli/run.ts'
import { columnCount } from './cli/screen.ts'
import { watchSignals } from './cli/signals.ts'
import { ClsConsumerError } from './errors.ts'
import { didYouMean, nearest } from './nearest.ts'
import { realClock, realFiles, realRandom, realTimers } from './real-world.ts'

const EPILOGUE = [
  'Flags outweigh environment variables, which stand in [brackets], and those the file of --config. The access key comes from CLS_SECRET_ID, CLS_SECRET_KEY and CLS_TOKEN alone.',
  'Exit codes: 0 done, or stopped in order by the first SIGINT or SIGTERM; 1 failed; 2 an option, a file or the processor must be mended first; 130 or 143 ended at once by a second SIGINT or SIGTERM.'
].join('\n\n')

const COMMANDS = ['demo', 'run', 'emulator', 'produce', 'dead-letters', 'bench', 'config-schema'] as const

/** Of help: longer lines are hard to read. */
const COLUMNS_MAX = 100

const argv = hideBin(process.argv)
process.exitCode = EXIT.done
await main().catch(fail)
// What a command leaves behind must not keep the process: an ordered stop is over when its command resolves.
process.stdout.write('', () => process.exit())

async function main(): Promise<void> {
  quietWhenUnread()
  refuseUnknownCommand(argv[0])
  const program = commands(yargs(argv))
  // Only the emulator has a key of its own making; all others would show theirs to everyone on this host.
  if (argv[0] !== 'emulator') refuseSecretFlags(argv)
  await program.parseAsync()
}

/** Here, since the parser's own suggestion does not repeat what was typed. A flag may come first: the parser tells then. */
function refuseUnknownCommand(typed: string | undefined): void {
  if (typed === undefined || typed.startsWith('-') || COMMANDS.some(name => name === typed)) return
  const meant = nearest(
    typed,
    COMMANDS.map(name => ({ name }))
  )
  throw new ClsConsumerError('USAGE', `unknown command ${typed}${didYouMean(meant)}`)
}

/** Strict with commands only: each command tells unknown flags itself, with all else that is wrong (`OptionCheck`). */
function commands(program: Argv): Argv {
  return program
    .scriptName('cls-consumer')
    .locale('en')
    .updateStrings({
      string: 'value',
      array: 'repeatable',
      'Not enough arguments following: %s': '--%s needs a value'
    })
    .usage('$0 <command>\n\nReads Tencent Cloud Log Service (CLS) topics through consumer groups.')
    .command(
      'demo',
      'Watch two consumers share a group, against an emulator; proves that no log is lost',
      command =>
        command.options(demoFlags).example('$0 demo --count 200000 --seed 7', 'more lines, the same each time'),
      args => withSignals(world => demo(args, world))
    )
    .command(
      'run',
      'Consume topics with your processor until stopped, or up to --stop-at',
      command =>
        command
          .options(runFlags)
          .epilogue(EPILOGUE)
          .example('$0 run --group g --processor ./p.js', 'where and what from the environment')
          .example('$0 run --stop-at now --print-results', 'what is there now, then exit')
          .example('$0 run --config c.yaml --print-config', 'what is in force, and why'),
      args => withSignals(world => run(args, world))
    )
    .command(
      'emulator',
      'A CLS that runs on this host, in memory, for development and tests',
      command => command.options(emulatorOptions).epilogue(emulatorEpilogue),
      args => withSignals(({ stop }) => runEmulator(args, { stop, print: line => process.stdout.write(`${line}\n`) }))
    )
    .command(
      'produce',
      'Upload logs from a file (text or NDJSON), or made-up ones',
      command =>
        command
          .options(produceFlags)
          .epilogue(EPILOGUE)
          .example('$0 produce --topic ID --file access.log', 'one log a line')
          .example('$0 produce --file a.log --time-field ts', 'lines that tell their time')
          .example('$0 produce --topic ID --rate 5000', 'made-up lines until stopped'),
      args => withSignals(world => produce(args, world))
    )
    .command('dead-letters', 'Read what was set aside instead of being processed', deadLetterCommands)
    .command(
      'bench',
      'Measure what it costs to consume on this host, with your processor and your logs',
      command =>
        command
          .options(benchFlags)
          .example('$0 bench --processor ./p.js --file a.log', 'yours, beside the obvious way')
          .example('$0 bench --case latency --json r.json', 'one case of the package’s own'),
      args => withSignals(world => bench(args, world))
    )
    .command(
      'config-schema',
      'Print the JSON schema of the file that `run --config` takes',
      command => command,
      args => printConfigSchema(args, { stdout: process.stdout })
    )
    .demandCommand(1, `name a command: ${COMMANDS.slice(0, -1).join(', ')} or ${COMMANDS.at(-1)}`)
    .strictCommands()
    .version(packageVersion())
    .alias({ help: 'h', version: 'v' })
    .epilogue(EPILOGUE)
    .wrap(Math.min(COLUMNS_MAX, columnCount(process.stdout, COLUMNS_MAX)))
    .exitProcess(false)
    .fail((message: string | null, error) => {
      // With a message it is the parser that complains; what a command throws comes without one.
      throw message === null ? error : new ClsConsumerError('USAGE', message)
    })
}

function deadLetterCommands(program: Argv): Argv {
  return program
    .command(
      'list',
      'One line for each dead letter',
      command =>
        command
          .options(listFlags)
          .epilogue(deadLettersEpilogue)
          .example('$0 dead-letters list --since 2026-01-31', 'what went wrong since'),
      args => withSignals(world => listDeadLetters(args, world, realFiles))
    )
    .command(
      'show [id..]',
      'Dead letters in full, with their logs where they decode',
      command =>
        command
          .positional('id', {
            type: 'string',
            array: true,
            description: 'Ids, or their first parts',
            defaultDescription: 'all'
          })
          .options(showFlags)
          .epilogue(deadLettersEpilogue)
          .example('$0 dead-letters show ID --raw > message', 'the exact bytes of one'),
      args => withSignals(world => showDeadLetters(args, world, realFiles))
    )
    .demandCommand(1, 'name what to do: list or show')
    .strictCommands()
    .epilogue(deadLettersEpilogue)
}

async function withSignals(command: (world: CommandWorld) => Promise<void>): Promise<void> {
  const { stop } = watchSignals({
    process,
    // On a terminal there may stand a status, or the ^C.
    say: line => process.stderr.write(`${process.stderr.isTTY ? '\n' : ''}${line}\n`),
    exit: code => process.exit(code)
  })
  const { env, stdout, stderr } = process
  await command({
    env,
    cwd: process.cwd(),
    stop,
    stdout,
    stderr,
    clock: realClock,
    timers: realTimers,
    random: realRandom
  })
}

function fail(error: unknown): void {
  process.exitCode = exitCodeOf(error)
  process.stderr.write(`${failureText(error, wantsDebug())}\n`)
}

/** Looked up by hand: what failed may be the parsing of the flags. */
function wantsDebug(): boolean {
  const at = argv.indexOf('--log-level')
  const flag = at >= 0 ? argv[at + 1] : argv.find(argument => argument.startsWith('--log-level='))?.slice(12)
  return (flag ?? process.env.CLS_LOG_LEVEL) === 'debug'
}

/** A reader that closes its end, such as `head`, is no error. Any other trouble with the streams is one. */
function quietWhenUnread(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', error => {
      if (!('code' in error) || error.code !== 'EPIPE') throw error
    })
  }
}

function packageVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  const found = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : undefined
  return typeof found === 'string' ? found : 'unknown'
}
