/** What was found to be broken in one run: the invariant, and what shows it. */

export interface Finding {
  /** `I1` … `I12`; `progress`; `calm`: something that a run without any trouble must not do; `leak`. */
  readonly invariant: string
  readonly message: string
}

export class Findings {
  readonly all: Finding[] = []
  readonly #trace: (where: string, what: string) => void

  constructor(trace: (where: string, what: string) => void) {
    this.#trace = trace
  }

  add(invariant: string, message: string): void {
    this.all.push({ invariant, message })
    this.#trace('LEDGER', `${invariant}: ${message}`)
  }
}
