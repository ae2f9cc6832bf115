/** Adds up what a part of the work takes, among everything else that is done. */
import type { Time } from './contenders.ts'

export class PartTimer {
  #cpuMs = 0
  #wallMs = 0

  readonly sum = (): Time => ({ cpuMs: this.#cpuMs, wallMs: this.#wallMs })

  time<T>(work: () => T): T {
    const cpuBefore = process.cpuUsage()
    const beganMs = performance.now()
    const result = work()
    this.#wallMs += performance.now() - beganMs
    const { user, system } = process.cpuUsage(cpuBefore)
    this.#cpuMs += (user + system) / 1000
    return result
  }
}
