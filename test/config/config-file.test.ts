/** The config file: its options with their lines, its problems with file, line and cure, and no secret. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { CONFIG, readConfigFile, readEntries, WRITABLE } from '../../src/config/config-file.ts'
import { OptionCheck } from '../../src/config/option-check.ts'
import { ClsConsumerError } from '../../src/errors.ts'
import { OPTIONS } from '../../src/options.ts'
import { OPTION_NAMES } from '../../src/resolve-options.ts'

const folder = mkdtempSync(join(tmpdir(), 'cls-config-'))
after(() => rmSync(folder, { recursive: true }))

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

function problemsOf(content: string): readonly string[] {
  return readEntries(content, 'yaml', 'c.yaml').problems
}

describe('a config file', () => {
  test('is YAML or JSON by its ending, whatever its case, and found from the working folder', () => {
    for (const [name, content] of [
      ['a.yaml', 'group: g # name\n'],
      ['b.yml', '{group: g}'],
      ['c.JSON', '{"$schema": "./x.json", "group": "g"}']
    ] as const) {
      write(name, content)
      const file = readConfigFile(name, folder, '--config')
      assert.deepEqual(file.problems, [])
      assert.equal(file.folder, folder)
      assert.deepEqual(
        [...file.entries].map(([option, { value, line }]) => [option, value, line]),
        [['group', 'g', 1]]
      )
    }
    assert.match(readConfigFile('c.JSON', folder, '--config').name, /^c\.JSON$/)
  })

  test('that cannot be read says why, and who named it', () => {
    mkdirSync(join(folder, 'folder.yaml'))
    write('latin.yaml', Uint8Array.from([0x67, 0x3a, 0x20, 0xe9]))
    write('large.yaml', '#'.repeat(256 * 1024 + 1))
    write('full.yaml', `group: g\n${'#'.repeat(256 * 1024 - 9)}`)
    write('c.toml', 'group = "g"')
    for (const [name, expected] of [
      ['none.yaml', /^file none\.yaml \(CLS_CONFIG\): cannot be read: ENOENT/],
      ['folder.yaml', /is a folder$/],
      ['latin.yaml', /is not UTF-8$/],
      ['large.yaml', /has 262145 bytes, and may have 262144$/],
      ['c.toml', /neither \.yaml, \.yml nor \.json/]
    ] as const) {
      const { problems, entries, isParsed } = readConfigFile(name, folder, 'CLS_CONFIG')
      assert.equal(problems.length, 1)
      assert.match(problems[0] ?? '', expected)
      assert.deepEqual([entries.size, isParsed], [0, false])
    }
    assert.deepEqual(readConfigFile('full.yaml', folder, 'CLS_CONFIG').problems, [])
  })

  test('takes every option that a flag or variable can give, and says of the others where they are given', () => {
    const names = WRITABLE.map(([name]) => name)
    const others = OPTION_NAMES.filter(name => !names.includes(name))
    assert.deepEqual(others, ['credentials', 'onResult', 'sharedThreads'])
    assert.deepEqual(problemsOf(names.map(name => `${name}: x`).join('\n')), [])
    assert.deepEqual(problemsOf('onResult: x\nsharedThreads: x\n'), [
      'file c.yaml line 1: onResult cannot be written in a file: give it in code',
      'file c.yaml line 2: sharedThreads cannot be written in a file: give it in code'
    ])
  })

  test('I9: takes no secret, in no spelling, and does not show it', () => {
    for (const key of ['credentials', 'secretKey', 'SecretId', 'CLS_SECRET_KEY', 'CLS_TOKEN', 'token', 'password']) {
      for (const value of ['hush', '{secretId: hush, secretKey: hush}']) {
        const { problems, entries } = readEntries(`${key}: ${value}\n`, 'yaml', 'c.yaml')
        assert.deepEqual(problems, [
          `file c.yaml line 1: ${key} is not taken from a file: set CLS_SECRET_ID, CLS_SECRET_KEY and, for temporary credentials, CLS_TOKEN in the environment`
        ])
        assert.equal(entries.size, 0)
      }
    }
  })

  test('tells unknown keys with what was meant, also by the name of a flag, a variable or the service', () => {
    for (const [key, meant] of [
      ['grup', 'group'],
      ['pull-bytes', 'pullBytes'],
      ['CLS_TOPIC_IDS', 'topicIds'],
      ['topic', 'topicIds'],
      ['topics', 'topicIds'],
      ['ConsumerGroup', 'group'],
      ['heartbeat_interval_ms', 'heartbeatIntervalMs']
    ] as const) {
      assert.deepEqual(problemsOf(`# c\n${key}: x\n`), [
        `file c.yaml line 2: unknown option ${key} (did you mean ${meant}?)`
      ])
    }
    for (const key of ['colour', 'config', 'constructor', '__proto__', '<<']) {
      assert.deepEqual(problemsOf(`${key}: x\n`), [`file c.yaml line 1: unknown option ${key}`])
    }
    const [problem = ''] = problemsOf(`"${'x'.repeat(500)}\\n\\e[31m": 1\n`)
    assert.ok(problem.length < 150 && !problem.includes('\n'), problem)
  })

  test('tells a key without a value: it would silently be the default', () => {
    for (const value of ['', ' ~', ' null']) {
      assert.deepEqual(problemsOf(`startFrom:${value}\n`), [
        'file c.yaml line 1: startFrom has no value: write one, or leave the line out'
      ])
    }
    assert.deepEqual(problemsOf('processorOptions: null\n'), [])
  })

  test('tells a masked secret of a printed config instead of using the mask', () => {
    for (const value of ['{a: [{password: "***"}]}', '{url: http://***@host}']) {
      assert.deepEqual(problemsOf(`processorOptions: ${value}\n`), [
        'file c.yaml line 1: processorOptions holds ***, which was put in place of a secret: write what it stands for'
      ])
    }
  })

  test('with very many problems tells the first of them, and how many more there are', () => {
    const problems = problemsOf(Array.from({ length: 500 }, (_, index) => `key${index}: x`).join('\n'))
    assert.equal(problems.length, 21)
    assert.match(problems[0] ?? '', /line 1: unknown option key0$/)
    assert.equal(problems[20], 'file c.yaml: 480 more problems')
  })
})

describe('a config file among the other sources', () => {
  const CREDENTIALS = { secretId: 'i', secretKey: 'k' }
  const VALID = {
    region: 'ap-guangzhou',
    logsetId: 'l',
    topicIds: ['t'],
    group: 'g',
    processor: './p.js',
    threads: 2
  }

  function resolved(content: string, args: Record<string, unknown> = {}, env: Record<string, string> = {}) {
    const name = write('layers.yaml', content)
    const check = new OptionCheck({ ...args, config: name }, env, { ...OPTIONS, ...CONFIG })
    check.readConfig(folder)
    const settings = check.finishWith(OPTION_NAMES, { ...check.given(OPTIONS), credentials: CREDENTIALS })
    return { settings, originOf: (option: string) => check.originOf(option) }
  }

  function linesOf(content: string, args: Record<string, unknown> = {}, env: Record<string, string> = {}): string[] {
    let lines: string[] = []
    assert.throws(
      () => resolved(content, args, env),
      error => {
        assert.ok(error instanceof ClsConsumerError && error.code === 'OPTIONS_INVALID')
        lines = error.message.split('\n').slice(1)
        return true
      }
    )
    return lines.map(line => line.replace('  - ', '').replace(join(folder, 'layers.yaml'), 'c.yaml'))
  }

  const FILE = JSON.stringify(VALID)

  test('outweighs defaults, and is outweighed by variables, and those by flags', () => {
    const place = join(folder, 'layers.yaml')
    for (const [args, env, threads, origin] of [
      [{}, {}, 2, { kind: 'file', file: place, line: 1 }],
      [{}, { CLS_THREADS: '3' }, 3, { kind: 'variable', variable: 'CLS_THREADS' }],
      [{ threads: '4' }, { CLS_THREADS: '3' }, 4, { kind: 'flag', flag: 'threads' }],
      [{ threads: '4' }, {}, 4, { kind: 'flag', flag: 'threads' }],
      [{}, { CLS_THREADS: '' }, 2, { kind: 'file', file: place, line: 1 }]
    ] as const) {
      const { settings, originOf } = resolved(FILE, args, env)
      assert.equal(settings.threads, threads)
      assert.deepEqual(originOf('threads'), origin)
      assert.deepEqual([settings.pullBytes, originOf('pullBytes')], [OPTIONS.pullBytes.default, undefined])
    }
    // One source gives an option whole: lists are not joined.
    assert.deepEqual(resolved(FILE, { topic: ['a', 'b'] }).settings.topicIds, ['a', 'b'])
  })

  test('is found by CLS_CONFIG too, and the flag wins', () => {
    const found = (args: Record<string, unknown>, env: Record<string, string>) => {
      const check = new OptionCheck(args, env, { ...OPTIONS, ...CONFIG })
      check.readConfig(folder)
      return check.given(OPTIONS).group
    }
    write('one.yaml', 'group: one\n')
    write('two.yaml', 'group: two\n')
    assert.equal(found({}, { CLS_CONFIG: 'one.yaml' }), 'one')
    assert.equal(found({ config: 'two.yaml' }, { CLS_CONFIG: 'one.yaml' }), 'two')
    assert.equal(found({}, {}), undefined)
  })

  test('has its problems told with those of flags and variables, each with its source and the cure', () => {
    const content = [
      'region: ap-guangzhou',
      'logsetId: 123',
      'topicIds:',
      '  - t',
      '  - 1e5',
      'grup: g',
      'threads: "4"',
      'pullBytes: 7',
      'updateGroup: yes',
      'heartbeatIntervalMs: 1250',
      'consumer: 0o17 # oct',
      'logLevel: verbose',
      'network: moon'
    ].join('\n')
    assert.deepEqual(
      linesOf(content, { nope: '1', threads: '0', network: 'public' }, { CLS_POLL_INTERVAL_MS: 'soon' }),
      [
        'unknown flag --nope',
        'file c.yaml line 6: unknown option grup (did you mean group?)',
        'file c.yaml line 13: network is "moon", expected public or intranet or international',
        'file c.yaml line 2: logsetId is 123, expected a text that is not empty: write "123", in quotes',
        'file c.yaml line 5: topicIds is a list, expected a list of topic ids, each a text that is not empty: write "1e5", in quotes',
        'file c.yaml line 11: consumer is 15, expected a name of at most 255 letters, digits, "_", "-": write "0o17", in quotes',
        'file c.yaml line 9: updateGroup is "yes", expected true or false',
        '--threads is "0", expected a whole number of threads from 1 to 256',
        'file c.yaml line 7: threads is "4", expected a number without quotes',
        'file c.yaml line 8: pullBytes is 7, expected a whole number of bytes from 1024 to 10485760',
        'file c.yaml line 10: heartbeatIntervalMs is 1250, expected a whole number of ms from 1000 to 300000, a multiple of 500',
        'CLS_POLL_INTERVAL_MS is "soon", expected a whole number of ms from 50 to 60000',
        'file c.yaml line 12: logLevel is "verbose", expected debug or info or warn or error or silent',
        `group is missing: ${OPTIONS.group.help} (--group, CLS_GROUP, group in a config file)`,
        `processor is missing: ${OPTIONS.processor.help} (--processor, CLS_PROCESSOR, processor in a config file)`
      ]
    )
  })

  test('that names what no quotes would mend gets no such advice', () => {
    const lines = linesOf(
      `{"region": 1.5, "group": ["a"], "startFrom": 1.5, "network": 1, ${FILE.slice(1).replace(/"(region|group)":"[^"]*",/g, '')}`
    )
    assert.equal(lines.length, 4)
    for (const line of lines) assert.doesNotMatch(line, /in quotes/)
  })

  test('with a key twice uses neither value, and does not call it missing', () => {
    assert.deepEqual(linesOf(`${FILE.slice(0, -1)},\n"group": "h", "threads": 0}`), [
      'file c.yaml line 2: group is given twice, first in line 1',
      'file c.yaml line 2: threads is given twice, first in line 1'
    ])
  })

  test('that cannot be parsed makes nothing missing that it may give, but the access key, which it cannot', () => {
    const name = write('broken.yaml', 'group: "g\n')
    const check = new OptionCheck({ config: name, threads: '0' }, {}, { ...OPTIONS, ...CONFIG })
    check.readConfig(folder)
    assert.throws(
      () => check.finishWith(OPTION_NAMES, check.given(OPTIONS)),
      ({ message }: ClsConsumerError) => {
        assert.deepEqual(
          message.split('\n').map(line => line.replace(/ line.*| is .*/, '')),
          ['3 invalid options:', `  - file ${name}`, '  - --threads', '  - credentials']
        )
        return true
      }
    )
  })

  test('contradicts a flag with both places', () => {
    assert.deepEqual(linesOf(`${FILE.slice(0, -1)},\n"network": "intranet"}`, { endpoint: 'http://h' }), [
      'endpoint (--endpoint) and network intranet (c.yaml:2) contradict each other: give one of them'
    ])
  })

  test('makes relative paths relative to its folder, and only those that it gives', () => {
    const name = write('here.yaml', 'processor: p.js\n')
    const folderFor = (args: Record<string, unknown>) => {
      const check = new OptionCheck({ ...args, config: name }, {}, { ...OPTIONS, ...CONFIG })
      check.readConfig('/elsewhere')
      check.given(OPTIONS)
      return check.folderOf('processor', '/elsewhere')
    }
    assert.equal(folderFor({}), folder)
    assert.equal(folderFor({ processor: 'q.js' }), '/elsewhere')
  })

  test('leaves alone what a command with fewer options has no use for', () => {
    const name = write('shared.yaml', 'group: g\nregion: ap-guangzhou\nthreads: 0\n')
    const check = new OptionCheck({ config: name }, {}, { region: OPTIONS.region, ...CONFIG })
    check.readConfig(folder)
    assert.deepEqual(check.given({ region: OPTIONS.region }), { region: 'ap-guangzhou' })
    check.finish()
  })
})
