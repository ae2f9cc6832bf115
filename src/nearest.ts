/**
 * What was probably meant by a name that does not exist.
 *
 * In: the name as typed, the names that exist. Out: the nearest of them, or none: a far-fetched suggestion is worse than
 * none. Pure. Letter case and punctuation do not count.
 */

export interface Candidate {
  /** What is suggested. */
  readonly name: string
  /** What it is called elsewhere too: who typed one of these means it. */
  readonly alsoCalled?: readonly (string | undefined)[]
}

export function nearest(typed: string, candidates: Iterable<Candidate>): string | undefined {
  const simple = simplify(typed)
  let close: string | undefined
  // One slip in three letters, and two at most: more would suggest what is only short.
  let editsMax = Math.min(2, Math.floor(simple.length / 3))
  for (const { name, alsoCalled = [] } of candidates) {
    const spellings = [name, ...alsoCalled].flatMap(spelling => spelling ?? [])
    const edits = Math.min(...spellings.map(spelling => editCount(simple, simplify(spelling))))
    if (edits > editsMax || (edits === editsMax && close !== undefined)) continue
    close = name
    editsMax = edits
  }
  return close
}

/** ` (did you mean X?)`, or nothing. */
export function didYouMean(name: string | undefined): string {
  return name === undefined ? '' : ` (did you mean ${name}?)`
}

/** As names are compared: lower case, without punctuation. */
export function simplify(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** Letters added, left out, changed or swapped with their neighbour between the two. */
function editCount(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = cell(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(
        Math.min(
          changed,
          cell(last, j) + 1,
          cell(row, j - 1) + 1,
          swapped ? cell(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY
        )
      )
    }
    beforeLast = last
    last = row
  }
  return cell(last, b.length)
}

function cell(row: readonly number[], at: number): number {
  return row[at] ?? Number.POSITIVE_INFINITY
}
