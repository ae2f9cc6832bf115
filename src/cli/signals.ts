/**
 * SIGINT and SIGTERM: the only place that handles them.
 *
 * In: signals of the process. Out: `stop` aborts at the first one, so that the command ends in order and exits 0; the
 * second one ends the process at once with 128 + its number. Nothing is installed before a command runs, or left after.
 */

const CODES = { SIGINT: 130, SIGTERM: 143 } as const
type Handled = keyof typeof CODES

export interface SignalWorld {
  readonly process: Pick<NodeJS.Process, 'on' | 'off'>
  readonly say: (line: string) => void
  /** Ends the process; does not return in the real one. */
  readonly exit: (code: number) => void
}

export interface SignalWatch {
  readonly stop: AbortSignal
  release(): void
}

export function watchSignals(world: SignalWorld): SignalWatch {
  const controller = new AbortController()
  const onSignal = (signal: Handled) => {
    if (controller.signal.aborted) return world.exit(CODES[signal])
    world.say(`${signal}: stopping in order; once more to exit at once`)
    controller.abort(new Error(`stopped by ${signal}`))
  }
  const handlers = [
    ['SIGINT', () => onSignal('SIGINT')],
    ['SIGTERM', () => onSignal('SIGTERM')]
  ] as const
  for (const [name, handler] of handlers) world.process.on(name, handler)
  return {
    stop: controller.signal,
    release: () => {
      for (const [name, handler] of handlers) world.process.off(name, handler)
    }
  }
}
