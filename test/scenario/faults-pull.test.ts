/** Pulls that the server refuses, breaks off or garbles: pulled again from where they began, and in order. */
import { describe } from 'node:test'
import type { Fault, Quirks } from '../../src/emulator/start.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { COMMON_FAULTS, type FaultedRow, testRows } from './harness/faulted.ts'
import { describeReading } from './harness/readings.ts'

const action = 'pull_log'

const FAULTS: readonly (readonly [title: string, fault: Fault, code: ErrorCode | undefined])[] = [
  ...COMMON_FAULTS,
  ['SpeedQuotaExceed', { kind: 'error', code: 'SpeedQuotaExceed' }, 'API_THROTTLED'],
  ...(['plain', 'snappy', 'lz4'] as const).flatMap(wrapped => [
    [
      `SpeedQuotaExceed inside a 200 (${wrapped})`,
      { kind: 'error', code: 'SpeedQuotaExceed', wrapped },
      'API_THROTTLED'
    ] as const,
    [
      `InternalError inside a 200 (${wrapped})`,
      { kind: 'error', code: 'InternalError', wrapped },
      'API_UNAVAILABLE'
    ] as const
  ]),
  ['a body cut in half', { kind: 'truncate' }, 'BODY_CORRUPT'],
  ['a body that does not decompress', { kind: 'corrupt', what: 'bytes' }, 'BODY_CORRUPT'],
  ['a body that is no JSON', { kind: 'corrupt', what: 'json' }, 'BODY_CORRUPT']
]

/** Every third pull of each partition is struck, so that there is progress between. */
const ROWS = FAULTS.map(
  ([title, fault, code]): FaultedRow => ({
    title: `pulls that meet ${title}`,
    rules: [0, 1].map(partition => ({ action, partition, fault, every: 3 })),
    struckCount: 3,
    ...(code === undefined ? {} : { code })
  })
)

/** A damaged body in each compression, and where the next offset is at the end: nothing can be peeked at, then. */
const DAMAGED: readonly (readonly [form: Partial<Quirks>, fault: Fault])[] = [
  [{ compression: 'lz4' }, { kind: 'truncate' }],
  [{ compression: 'none' }, { kind: 'truncate' }],
  [
    { compression: 'lz4', nextOffset: 'last' },
    { kind: 'corrupt', what: 'bytes' }
  ],
  [{ compression: 'none', nextOffset: 'last' }, { kind: 'truncate' }],
  [{ nextOffset: 'last' }, { kind: 'corrupt', what: 'json' }]
]

const DAMAGED_ROWS = DAMAGED.map(
  ([quirks, fault]): FaultedRow => ({
    title: `pulls with ${describeReading(quirks)} that meet ${describeFault(fault)}`,
    rules: [0, 1].map(partition => ({ action, partition, fault, every: 3 })),
    struckCount: 3,
    code: 'BODY_CORRUPT',
    emulator: { quirks }
  })
)

function describeFault(fault: Fault): string {
  return fault.kind === 'corrupt' ? `corrupt ${fault.what ?? 'bytes'}` : fault.kind
}

describe('faults of pulls', { concurrency: 3 }, () => {
  testRows([...ROWS, ...DAMAGED_ROWS])
})
