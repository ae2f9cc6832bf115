import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClsConsumerError } from '../src/errors.ts'
import { OPTIONS } from '../src/options.ts'
import { resolveOptions } from '../src/resolve-options.ts'
import { REQUIRED } from './support/settings.ts'

/** The lines of the error that these options make. */
function problems(
  options: Readonly<Record<string, unknown>>,
  base: Readonly<Record<string, unknown>> = REQUIRED
): string[] {
  try {
    resolveOptions({ ...base, ...options })
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError && error.code === 'OPTIONS_INVALID', String(error))
    assert.equal(error.remedy, 'fix-input')
    return error.message.split('\n').slice(1)
  }
  return []
}

function onlyProblem(options: Readonly<Record<string, unknown>>): string {
  const [line, ...others] = problems(options)
  assert.ok(line !== undefined && others.length === 0, `one problem was expected: ${[line, ...others]}`)
  return line
}

describe('options: what is complete', () => {
  test('what is required is enough, and every other option gets its default', () => {
    const settings = resolveOptions(REQUIRED)
    for (const [name, option] of Object.entries(OPTIONS)) {
      if (name in REQUIRED) continue
      assert.deepEqual(Object.entries(settings).find(([key]) => key === name)?.[1], option.default, name)
    }
    assert.deepEqual(
      [settings.heartbeatIntervalMs, settings.pollIntervalMs, settings.startFrom, settings.stopAt, settings.pullBytes],
      [20_000, 1000, 'end', undefined, 2 * 1024 * 1024]
    )
    assert.deepEqual(
      [
        settings.batchesPerThread,
        settings.commitIntervalMs,
        settings.heldBytesMax,
        settings.onInvalidOffset,
        settings.bodyBytesMax
      ],
      [4, 3000, 256 * 1024 * 1024, 'stop', 32 * 1024 * 1024]
    )
  })

  test('undefined and null are as if absent', () => {
    const { pullBytes, consumer } = resolveOptions({ ...REQUIRED, pullBytes: undefined, consumer: null })
    assert.deepEqual([pullBytes, consumer], [2 * 1024 * 1024, undefined])
  })
})

describe('options: what is wrong', () => {
  test('everything wrong is listed at once', () => {
    const lines = problems(
      {
        group: 'no spaces',
        pullBytes: 1,
        threads: 0,
        topicIds: [],
        startFrom: 'yesterday',
        colour: 'red',
        network: 'moon'
      },
      {}
    )
    for (const name of ['group', 'pullBytes', 'threads', 'topicIds', 'startFrom', 'colour', 'network'])
      assert.equal(lines.filter(line => line.includes(name)).length, 1, `${name}: ${lines.join('\n')}`)
    for (const name of ['credentials', 'logsetId', 'processor'])
      assert.ok(
        lines.some(line => line.includes(`${name} is missing`)),
        name
      )
    assert.ok(lines.some(line => line.includes('neither endpoint nor region')))
    assert.equal(lines.length, 11)
  })

  test('each line names the option, its value and what would be right', () => {
    assert.match(onlyProblem({ threads: 0 }), /threads is 0, expected a whole number of threads from 1 to 256/)
    assert.match(onlyProblem({ onInvalidOffset: 'skip' }), /onInvalidOffset is "skip", expected stop or begin or end/)
    assert.match(onlyProblem({ topicIds: {} }), /topicIds is an object, expected a list/)
    assert.match(onlyProblem({ onResult: 5 }), /onResult is 5, expected a function/)
  })

  for (const [written, meant] of [
    ['topicId', 'topicIds'],
    ['heartbeatIntervalMS', 'heartbeatIntervalMs'],
    ['pull_bytes', 'pullBytes'],
    ['Processor', 'processor']
  ] as const) {
    test(`an unknown option is named, and what was meant: ${written}`, () => {
      assert.match(
        onlyProblem({ [written]: 1 }),
        new RegExp(`unknown option ${written} \\(did you mean ${meant}\\?\\)`)
      )
    })
  }

  test('an unknown option that is like none is only named', () => {
    assert.match(onlyProblem({ colour: 'red' }), /unknown option colour$/)
  })

  test('names that every object inherits are unknown options too', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty'])
      assert.match(onlyProblem({ [name]: 1 }), /unknown option/)
  })

  for (const [name, min, max, step] of [
    ['threads', 1, 256, 1],
    ['batchesPerThread', 1, 64, 1],
    ['pullBytes', 1024, 10 * 1024 * 1024, 1],
    ['heartbeatIntervalMs', 1000, 300_000, 500],
    ['pollIntervalMs', 50, 60_000, 1],
    ['commitIntervalMs', 50, 300_000, 1],
    ['drainTimeoutMs', 0, 3_600_000, 1],
    ['abortGraceMs', 0, 600_000, 1],
    ['threadExitMs', 100, 600_000, 1],
    ['threadHeapMb', 32, 1_048_576, 1]
  ] as const) {
    test(`${name} may be ${min} to ${max} in steps of ${step}, as a number or its digits`, () => {
      for (const value of [min, max, min + step, String(min), String(max)])
        assert.deepEqual(problems({ [name]: value }), [])
      for (const value of [min - step, max + step, min + 0.5, Number.NaN, '', '1e3', '-1', ' 5', true])
        assert.match(onlyProblem({ [name]: value }), new RegExp(`${name} is `))
      if (step > 1) assert.match(onlyProblem({ [name]: min + 1 }), /a multiple of 500/)
    })
  }

  test('twice any heartbeat interval is whole seconds, at least two', () => {
    const { heartbeatIntervalMs } = resolveOptions({ ...REQUIRED, heartbeatIntervalMs: 1500 })
    assert.ok(Number.isInteger((2 * heartbeatIntervalMs) / 1000))
    assert.match(onlyProblem({ heartbeatIntervalMs: 1250 }), /multiple of 500/)
    assert.match(onlyProblem({ heartbeatIntervalMs: 500 }), /from 1000/)
  })

  for (const [value, expected] of [
    ['begin', 'begin'],
    ['end', 'end'],
    [1_700_000_000, 1_700_000_000],
    ['1700000000', 1_700_000_000],
    ['2023-11-14T22:13:20Z', 1_700_000_000],
    ['2023-11-14T22:13:20.999Z', 1_700_000_000],
    ['2023-11-15T06:13:20+08:00', 1_700_000_000],
    ['2023-11-15', 1_700_006_400],
    [new Date(1_700_000_000_500), 1_700_000_000],
    [0, 0]
  ] as const) {
    test(`startFrom ${value instanceof Date ? 'a Date' : value} is ${expected}`, () =>
      assert.equal(resolveOptions({ ...REQUIRED, startFrom: value }).startFrom, expected))
  }

  for (const value of [
    'now',
    'yesterday',
    '',
    -1,
    1.5,
    1_700_000_000_000,
    '2023-13-01T00:00:00Z',
    '14/11/2023',
    new Date(Number.NaN),
    {}
  ]) {
    test(`startFrom ${value instanceof Date ? 'an invalid Date' : JSON.stringify(value)} is refused`, () =>
      assert.match(onlyProblem({ startFrom: value }), /startFrom is .*, expected begin, end, Unix seconds/))
  }

  test('stopAt may be now, and may not be the beginning', () => {
    assert.equal(resolveOptions({ ...REQUIRED, stopAt: 'now' }).stopAt, 'now')
    assert.match(onlyProblem({ stopAt: 'begin' }), /nothing would be read/)
  })

  test('lists are made of different texts, from code or from text', () => {
    assert.deepEqual(resolveOptions({ ...REQUIRED, topicIds: 'a, b' }).topicIds, ['a', 'b'])
    for (const topicIds of [[], [''], ['a', 'a'], ['a', 5], 'a,', 5])
      assert.match(onlyProblem({ topicIds }), /topicIds is/)
  })

  test('endpoints have a scheme and no path; names have no strange characters', () => {
    for (const endpoint of ['127.0.0.1:9320', 'http://', 'http://host/path', 'ftp://host', 'http://host?x'])
      assert.match(onlyProblem({ endpoint }), /endpoint is/)
    assert.deepEqual(problems({ endpoint: 'https://host:1/' }), [])
    for (const name of ['group', 'consumer']) {
      assert.match(onlyProblem({ [name]: 'ä' }), new RegExp(`${name} is`))
      assert.match(onlyProblem({ [name]: 'x'.repeat(256) }), new RegExp(`${name} is`))
      assert.deepEqual(problems({ [name]: '0.a_b-c' }), [])
    }
  })
})

describe('options: what contradicts', () => {
  const { endpoint: _, ...withoutEndpoint } = REQUIRED

  test('neither endpoint nor region', () => {
    assert.match(problems({}, withoutEndpoint).join(), /neither endpoint nor region is given/)
    assert.deepEqual(problems({ region: 'ap-guangzhou' }, withoutEndpoint), [])
  })

  test('an endpoint that is wrong is given all the same', () => {
    assert.match(onlyProblem({ endpoint: 'nonsense' }), /^ {2}- endpoint is "nonsense"/)
  })

  test('an endpoint and a network', () => {
    assert.match(onlyProblem({ network: 'intranet' }), /endpoint and network intranet contradict each other/)
    assert.deepEqual(problems({ network: 'public' }), [])
  })

  test('dead letters need a directory, where they are what becomes of a failed batch', () => {
    assert.equal(
      onlyProblem({ onFailure: 'dead-letter' }),
      '  - onFailure is dead-letter, and there is no deadLetterDirectory: name one, or give another onFailure'
    )
    assert.deepEqual(problems({ onFailure: 'dead-letter', deadLetterDirectory: './dead' }), [])
    // A processor may have a policy of its own; and what is wrong is not missing.
    assert.deepEqual(problems({ deadLetterDirectory: './dead' }), [])
    assert.match(onlyProblem({ onFailure: 'dead-letter', deadLetterDirectory: 7 }), /deadLetterDirectory is 7/)
    assert.deepEqual(problems({ onFailure: 'park', commitMode: 'manual' }), [])
  })

  test('contradictions are listed with everything else', () => {
    const lines = problems({ threads: 0, startFrom: 1000, stopAt: 1000 })
    assert.equal(lines.length, 2)
    assert.match(lines.join(), /threads is 0.*nothing would be read/)
  })

  test('a stop at or before the start', () => {
    for (const stopAt of [1000, 999]) assert.match(onlyProblem({ startFrom: 1000, stopAt }), /nothing would be read/)
    assert.deepEqual(problems({ startFrom: 1000, stopAt: 1001 }), [])
  })

  test('I5: a budget of less than two pulls', () => {
    const pullBytes = 6 * 1024 * 1024
    // Three quarters of the budget are for pulls.
    const heldBytesMax = 20_132_660 // of which 625 in 1000 are for pulls
    assert.match(onlyProblem({ pullBytes, heldBytesMax: heldBytesMax - 1 }), /no room for two pulls.*at least 20132660/)
    assert.deepEqual(problems({ pullBytes, heldBytesMax }), [])
  })

  test('responses limited to less than what is asked for', () => {
    const pullBytes = 2 * 1024 * 1024
    for (const name of ['bodyBytesMax', 'responseBytesMax'] as const) {
      assert.match(
        onlyProblem({ pullBytes, [name]: pullBytes - 1 }),
        new RegExp(`${name} 2097151 is less than pullBytes`)
      )
      assert.deepEqual(problems({ pullBytes, [name]: pullBytes }), [])
    }
  })
})

describe('options: secrets', () => {
  const SECRET = 'sEcReT-nobody-may-see'

  test('I9: whatever is wrong, no part of the credentials appears', () => {
    for (const credentials of [
      SECRET,
      { secretId: SECRET },
      { secretId: SECRET, secretKey: '' },
      { secretId: SECRET, secretKey: 5 },
      { secretId: 'id', secretKey: SECRET, token: 5 },
      { secretId: 'id', secretKey: SECRET, expiresAtMs: 'soon' },
      [SECRET]
    ]) {
      const line = onlyProblem({ credentials })
      assert.match(line, /credentials is not usable, expected/)
      assert.ok(!line.includes(SECRET))
    }
  })

  test('I9: a provider that returns no credentials is refused without what it returned', async () => {
    const { credentials } = resolveOptions({ ...REQUIRED, credentials: async () => ({ secretId: SECRET }) })
    assert.ok(typeof credentials === 'function')
    await assert.rejects(
      async () => await credentials(),
      (error: unknown) =>
        error instanceof ClsConsumerError && error.code === 'CREDENTIALS_UNAVAILABLE' && !error.message.includes(SECRET)
    )
  })

  test('credentials and what a provider returns come through as they are', async () => {
    const given = { secretId: 'id', secretKey: 'key', token: 't', expiresAtMs: 5 }
    assert.deepEqual(resolveOptions({ ...REQUIRED, credentials: given }).credentials, given)
    const { credentials } = resolveOptions({ ...REQUIRED, credentials: () => given })
    assert.ok(typeof credentials === 'function')
    assert.deepEqual(await credentials(), given)
  })

  test('a long text is shown cut', () => {
    assert.ok(onlyProblem({ region: 'X'.repeat(5000) }).length < 300)
  })
})
