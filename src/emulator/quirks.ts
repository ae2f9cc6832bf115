/**
 * Where the protocol is not certain about the live service, or leaves a choice to it: the reading that an emulator
 * follows. Each is a closed list whose first value is the default.
 *
 * In: choices as a user gives them, untrusted. Out: a choice for every quirk, or what is wrong with them. One table:
 * types, checks, flags and help derive from it.
 */
export const QUIRKS = {
  /**
   * How the last messages of a bounded pull come: with the position after them, so that the next pull answers -1, or
   * with -1 at once.
   */
  boundedEnd: ['after-messages', 'with-messages'],
  /** What becomes of a commit by a consumer that does not own a partition it names. */
  foreignCommit: ['refuse', 'accept', 'ignore'],
  /** Whether a commit that is refused for one partition still keeps the offsets of those that its consumer owns. */
  refusedCommit: ['whole', 'rest-kept'],
  /** When a partition goes to its next owner: once the old one's heartbeat left it out, or at once. */
  handOver: ['when-omitted', 'at-once'],
  /** What a member's heartbeat without partitions is, after it held some: one like any other, or its leave. */
  lastBeat: ['joins', 'leaves'],
  /** What becomes of `OffsetType` 1: the log's own position, taken for 0, or refused as a parameter. */
  offsetType: ['list', 'ignored', 'refused'],
  /** How the offsets tell a partition without a committed one; `position` is the place that `From` names. */
  noOffset: ['position', 'absent', 'null', 'minus-one'],
  /** What `Size` of a pull counts. */
  size: ['bytes', 'log-groups'],
  /** `NextOffset` of a pull without an end that brings nothing. */
  nothingNew: ['same', 'minus-one', 'zero', 'absent'],
  /** The unit of the time in a message's header; of messages that are stored from then on. */
  headerTime: ['milliseconds', 'seconds', 'microseconds'],
  /**
   * Ids in a message's header that do not have its 36 bytes: filled up with zeros (and a longer one without its end), or
   * all zeros; of messages that are stored from then on.
   */
  headerIds: ['padded', 'cut'],
  /** Where `NextOffset` stands. `lying`: a wrong, larger one first, the right one last; of equal keys the last counts. */
  nextOffset: ['first', 'last', 'lying'],
  /** White space between the parts of an answer's JSON. */
  whiteSpace: ['none', 'spaces'],
  /** Whether the base64 of messages is written with JSON escapes: `\/` and `\u002b`. */
  base64: ['plain', 'escaped'],
  /** Keys that nobody asked for around and inside `Response`, with look-alikes of known ones inside. */
  extraKeys: ['none', 'nested'],
  /** How a pull's answer is compressed. */
  compression: ['asked', 'snappy', 'lz4', 'none'],
  /** Whether `x-cls-compress-type` names it. */
  compressionHeader: ['named', 'absent'],
  /** `Message` of a pull that brings none. */
  emptyMessages: ['list', 'null', 'absent'],
  /** Lists of the control plane's answers, where they are empty. */
  emptyLists: ['list', 'null']
} as const satisfies Record<string, readonly [string, ...string[]]>

export type QuirkName = keyof typeof QUIRKS
/** A type alias, so that it prints as JSON. */
export type Quirks = { readonly [K in QuirkName]: (typeof QUIRKS)[K][number] }

export const DEFAULT_QUIRKS: Quirks = defaults()

/** What is wrong with choices that a user gives; absent and undefined ones are not given. */
export function quirkProblems(given: unknown): string[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return ['quirks is not an object']
  return Object.entries(given).flatMap(([name, value]) => {
    const values = choicesOf(name)
    if (values === undefined) return [`there is no quirk ${name}: there are ${Object.keys(QUIRKS).join(', ')}`]
    if (value === undefined || values.includes(value)) return []
    return [`quirk ${name} is ${JSON.stringify(value)}: expected ${values.join(' or ')}`]
  })
}

export function isQuirkChange(given: unknown): given is Partial<Quirks> {
  return quirkProblems(given).length === 0
}

/** Those that are given take the place of those that hold now. */
export function changedQuirks(quirks: Quirks, change: Partial<Quirks>): Quirks {
  const named = Object.entries(change).filter(([, value]) => value !== undefined)
  return { ...quirks, ...Object.fromEntries(named) }
}

/** Choices that are right each by itself, and not together. */
export function quirkContradictions({ compression, compressionHeader }: Quirks): string[] {
  if (compression !== 'lz4' || compressionHeader !== 'absent') return []
  return ['quirk compression is "lz4" and quirk compressionHeader is "absent": nothing would tell a client of lz4']
}

function choicesOf(name: string): readonly string[] | undefined {
  return Object.entries(QUIRKS).find(([known]) => known === name)?.[1]
}

function defaults(): Quirks {
  const firsts = Object.fromEntries(Object.entries(QUIRKS).map(([name, [first]]) => [name, first]))
  if (isComplete(firsts)) return firsts
  throw new TypeError('a quirk has no default')
}

function isComplete(given: object): given is Quirks {
  return isQuirkChange(given) && Object.keys(given).length === Object.keys(QUIRKS).length
}
