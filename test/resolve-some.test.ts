/** Settings for who needs only some options. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { resolveSome } from '../src/resolve-options.ts'

const INVALID = { code: 'OPTIONS_INVALID', remedy: 'fix-input' } as const

describe('options: some of them', () => {
  test('what is required elsewhere is neither asked for nor made up', () => {
    const credentials = { secretId: 'i', secretKey: 'k' }
    const settings = resolveSome(['credentials', 'topicIds', 'pullBytes', 'stopAt'], { credentials, topicIds: 'a,b' })
    assert.deepEqual(settings, { credentials, topicIds: ['a', 'b'], pullBytes: 2 * 1024 * 1024, stopAt: undefined })
  })

  test('an option that is not among them is unknown', () => {
    assert.throws(() => resolveSome(['threads'], { threads: 1, group: 'g', thread: 2 }), {
      ...INVALID,
      message: '2 invalid options:\n  - unknown option group\n  - unknown option thread (did you mean threads?)'
    })
  })

  test('what is bad, missing or known before is listed at once, in the form of all options', () => {
    assert.throws(() => resolveSome(['threads', 'group'], { threads: 0 }, { problems: ['--count is "0"'] }), {
      ...INVALID,
      message: [
        '3 invalid options:',
        '  - --count is "0"',
        '  - threads is 0, expected a whole number of threads from 1 to 256',
        '  - group is missing: Consumer group; created where absent'
      ].join('\n')
    })
    assert.throws(() => resolveSome(['group'], { group: 'g' }, { problems: ['--count is "0"'] }), {
      ...INVALID,
      message: 'invalid option:\n  - --count is "0"'
    })
  })

  test('contradictions are found among them, and only there', () => {
    assert.throws(() => resolveSome(['endpoint', 'region'], {}), { ...INVALID, message: /neither endpoint nor region/ })
    assert.deepEqual(resolveSome(['endpoint'], {}), { endpoint: undefined })
    const given = { endpoint: 'http://127.0.0.1:1', network: 'intranet' }
    assert.throws(() => resolveSome(['endpoint', 'network'], given), { ...INVALID, message: /contradict each other/ })
    const pullBytes = 10 * 1024 * 1024
    assert.throws(() => resolveSome(['pullBytes', 'heldBytesMax'], { pullBytes, heldBytesMax: pullBytes }), INVALID)
    assert.deepEqual(resolveSome(['pullBytes'], { pullBytes }), { pullBytes })
  })

  test('what was refused before, or may stand in what could not be read, is not missing', () => {
    const known = {
      problems: ['--group is "a b"'],
      refused: new Set(['group']),
      mayBeGiven: (name: string) => name === 'logsetId',
      cure: (name: string) => ` (say ${name})`
    }
    assert.throws(() => resolveSome(['group', 'logsetId', 'processor'], {}, known), {
      ...INVALID,
      message: [
        '2 invalid options:',
        '  - --group is "a b"',
        "  - processor is missing: Module of the processor: a path (relative to the working folder, or the config file's), a file: URL or the name of a package (say processor)"
      ].join('\n')
    })
  })

  test('I9: the password of a URL is not shown', () => {
    assert.throws(() => resolveSome(['endpoint'], { endpoint: 'http://me:hu@sh@host/path' }), {
      ...INVALID,
      message: /endpoint is "http:\/\/\*\*\*@host\/path", expected/
    })
  })
})
