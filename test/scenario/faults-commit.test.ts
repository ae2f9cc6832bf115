/** Commits that the server refuses, breaks off, garbles, takes late or takes without a word: what counts is the last one. */
import { describe } from 'node:test'
import { COMMON_FAULTS, type FaultedRow, testRows } from './harness/faulted.ts'

const action = 'CommitConsumerOffsets'

/** Every third commit is struck: what is in doubt takes two answers in a row to be sure of. */
const ROWS: readonly FaultedRow[] = [
  ...COMMON_FAULTS.map(
    ([title, fault, code]): FaultedRow => ({
      title: `commits that meet ${title}`,
      rules: [{ action, fault, every: 3 }],
      struckCount: 2,
      ...(code === undefined ? {} : { code })
    })
  ),
  {
    title: 'commits whose answers are cut in half',
    rules: [{ action, fault: { kind: 'truncate' }, every: 3 }],
    struckCount: 2,
    code: 'API_MALFORMED'
  },
  {
    title: 'commits whose answers are garbled',
    rules: [{ action, fault: { kind: 'corrupt' }, every: 3 }],
    struckCount: 2,
    code: 'API_MALFORMED'
  },
  {
    // The next one is there before it, so that it takes the offset back until that is sent once more.
    title: 'commits that are given up, and taken by the server after a newer one',
    rules: [{ action, fault: { kind: 'delay', ms: 900 }, every: 3 }],
    struckCount: 2,
    code: 'API_TIMEOUT',
    options: { requestTimeoutMs: 500 }
  },
  {
    title: 'commits that are taken, and answered after they were given up',
    rules: [{ action, fault: { kind: 'delay', ms: 900, when: 'after' }, every: 3 }],
    struckCount: 2,
    code: 'API_TIMEOUT',
    options: { requestTimeoutMs: 500 }
  },
  {
    title: 'commits of which every second one takes effect and is never answered',
    rules: [{ action, fault: { kind: 'drop', when: 'answer' }, every: 2 }],
    struckCount: 3,
    code: 'API_UNREACHABLE'
  },
  {
    title: 'five commits in a row that take effect and are never answered',
    rules: [{ action, fault: { kind: 'drop', when: 'answer' }, after: 1, times: 5 }],
    struckCount: 5,
    code: 'API_UNREACHABLE'
  }
]

describe('faults of commits', { concurrency: 2 }, () => {
  testRows(ROWS)
})
