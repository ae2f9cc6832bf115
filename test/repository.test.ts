/** The rules of the repository, as tests: who may import whom, who may read the clock, what the README promises. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { OPTIONS } from '../src/options.ts'
import { withEnvExample } from './support/env-example.ts'
import { withQuirkTable } from './support/quirk-table.ts'
import { readReadme, withOptionTable } from './support/readme.ts'
import { ROOT, readSources, type SourceFile } from './support/source.ts'
import { spokenIn } from './support/spoken.ts'

const sources = readSources('src', 'workers')
const tests = readSources('test')

/** The variables that hold a secret. */
const SECRET = /\b(secretKey|token)\b/

const STAGES = ['group', 'fetch', 'dispatch', 'commit', 'failure']
/** The files that may know more than one stage. */
const ASSEMBLY = [
  'consumer',
  'stages',
  'tenures',
  'tenure',
  'supply',
  'progress',
  'settler',
  'last-resort',
  'consumer-reports',
  'repositioner',
  'log-end',
  'stall-watch',
  'opener',
  'starts',
  'bounded-run',
  'build-world'
].map(name => `src/${name}.ts`)
const CODECS = ['src/cls/json.ts', 'src/cls/compression.ts', 'src/cls/log-group.ts']

test('stages never import each other; only the assembly knows more than one', () => {
  const stageOf = (path: string): string | undefined => STAGES.find(stage => path.startsWith(`src/${stage}/`))
  // The messages of the thread boundary belong to nobody.
  const isShared = (path: string): boolean => path === 'src/dispatch/messages.ts'
  const broken = edges(sources).filter(({ from, to }) => {
    const target = stageOf(to)
    if (target === undefined || isShared(to) || stageOf(from) === target || ASSEMBLY.includes(from)) return false
    // The commands that read what a stage has written.
    if (from.startsWith('src/cli/dead-letter') && to.startsWith('src/failure/dead-letter')) return false
    // Types, and the one part of a stage that users make themselves (`SharedThreads`).
    return !['src/consumer-events.ts', 'src/world.ts', 'src/options.ts', 'src/index.ts'].includes(from)
  })
  assert.deepEqual(broken, [])
})

test('the emulator imports nothing of the client but its codecs', () => {
  const allowed = [...CODECS, 'src/errors.ts', 'src/world.ts']
  const broken = edges(sources).filter(
    ({ from, to }) =>
      from.startsWith('src/emulator/') &&
      to.startsWith('src/') &&
      !to.startsWith('src/emulator/') &&
      !allowed.includes(to)
  )
  assert.deepEqual(broken, [])
})

test('workers import only the messages, the codecs, the errors and their own', () => {
  const allowed = [
    'src/cls/json.ts',
    'src/cls/block-size.ts',
    'src/errors.ts',
    'src/dispatch/messages.ts',
    'src/world.ts'
  ]
  const broken = edges(sources).filter(
    ({ from, to, isTypeOnly }) =>
      from.startsWith('workers/') &&
      to.startsWith('src/') &&
      !(allowed.includes(to) && (to !== 'src/world.ts' || isTypeOnly))
  )
  assert.deepEqual(broken, [])
})

test('I7: the main thread reaches no code that decodes a whole response, and no processor', () => {
  const decoders = ['src/cls/compression.ts', 'src/cls/log-group.ts']
  const mainThread = new Set<string>()
  const visit = (path: string): void => {
    if (mainThread.has(path)) return
    mainThread.add(path)
    // Types are gone at run time; uploads encode, and are no part of a consumer.
    for (const { from, to, isTypeOnly } of edges(sources))
      if (from === path && !isTypeOnly && to !== 'src/cls/upload.ts') visit(to)
  }
  visit('src/consumer.ts')
  assert.ok(mainThread.has('src/fetch/peek.ts') && mainThread.has('src/dispatch/dispatcher.ts'))
  assert.deepEqual(
    [...mainThread].filter(path => decoders.includes(path) || path.startsWith('workers/')),
    []
  )
})

test('only the adapters of the real world read the clock, set timers, roll dice or open sockets', () => {
  const ADAPTERS = [
    'src/cli/lines.ts',
    'src/cls/http.ts',
    'src/dispatch/pool.ts',
    'src/emulator/server.ts',
    'src/emulator/start.ts',
    'src/real-world.ts',
    'workers/run-batch.ts'
  ]
  const WORLDLY =
    /Date\.now|new Date\(\)|performance\.|hrtime|uptime\(|\bset(Timeout|Interval|Immediate)\b|AbortSignal\.timeout|Math\.random|\brandom(UUID|Bytes|Int)\b|getRandomValues|\bfetch\(|create(Read|Write)Stream/
  const WORLDLY_MODULES = /^(node:(timers.*|net|http|https|http2|tls|dgram|stream.*)|undici)$/
  const touching = sources
    .filter(({ code, imports }) => WORLDLY.test(code) || imports.some(({ target }) => WORLDLY_MODULES.test(target)))
    .map(({ path }) => path)
  // Exactly these: an exemption that nothing needs would hide what comes to need it.
  assert.deepEqual(touching, ADAPTERS)
})

test('only the command line ends the process or listens to signals', () => {
  const broken = sources
    .filter(({ path }) => !path.startsWith('src/cli') && path !== 'src/emulator/main.ts')
    .filter(({ code }) => /(^|[^#\w.])process\.(exit\b|exitCode|on\b|once\b|kill\b)/m.test(code))
    .map(({ path }) => path)
  assert.deepEqual(broken, [])
})

test('each dependency is imported in one file', () => {
  const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) {
    const importers = sources.filter(({ imports }) =>
      imports.some(({ target, isTypeOnly }) => target === name && !isTypeOnly)
    )
    assert.equal(
      importers.length,
      1,
      `${name} is imported by ${importers.map(({ path }) => path).join(', ') || 'nobody'}`
    )
  }
})

test('every file of src and workers begins with what it is for', () => {
  const broken = sources.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path)
  assert.deepEqual(broken, [])
})

test('no type is forced: `any`, `as` and `!` stay out of src and workers', () => {
  // Byte-level code and the borders of untyped libraries.
  const ALLOWED = ['src/cls/log-group.ts']
  const broken = sources
    .filter(({ path }) => !ALLOWED.includes(path))
    .filter(
      ({ code }) =>
        /\w\)?\]? as (?!const\b|unknown as)[A-Z{[(]|\bas unknown\b/.test(
          code.replace(/^(import|export)[\s\S]*?from ''/gm, '')
        ) || /@ts-|: any\b/.test(code)
    )
    .map(({ path }) => path)
  assert.deepEqual(broken, [])
})

test('I8: no wait has a bare number for its length: each has a name', () => {
  const broken = sources.flatMap(({ path, code }) =>
    [...code.matchAll(/\.(?:after|sleep)\((\d[\d_]*)/g)].map(match => `${path}: ${match[0]}`)
  )
  assert.deepEqual(broken, [])
})

test('I9: only the files that take, hand over or use credentials read a secret', () => {
  const READERS = [
    'src/cli/demo-group.ts',
    'src/cli/emulator.ts',
    'src/cls/control-api.ts',
    'src/cls/data-api.ts',
    'src/cls/sign-q.ts',
    'src/cls/sign-tc3.ts',
    'src/cls/signing.ts',
    'src/config/env-credentials.ts',
    'src/emulator/changes.ts',
    'src/emulator/settings.ts',
    'src/emulator/signature.ts',
    'src/emulator/start.ts',
    'src/options.ts'
  ]
  // A byte of an lz4 block is called its token too.
  const readers = sources.filter(({ path, code }) => SECRET.test(code) && path !== 'src/cls/block-size.ts')
  assert.deepEqual(
    readers.map(({ path }) => path),
    READERS
  )
})

test('I9: no template literal, log line, error or JSON is made of a secret', () => {
  const told = (source: string): string[] => spokenIn(source).filter(value => SECRET.test(value))
  // The derivation of a key is what a secret is for.
  const DERIVATION = /`TC3\$\{(key\.)?secretKey\}`/g
  const broken = sources.flatMap(({ path, text }) =>
    told(text.replace(DERIVATION, "''")).map(found => `${path}: ${found}`)
  )
  assert.deepEqual(broken, [])

  const TELLING = [
    "log.info('signed', { count: f(1), token })",
    `this.#world.log.warn('signed', {\n  by: \`it's (\${credentials.secretKey} isn't\`\n})`,
    "new ClsConsumerError('USAGE', 'wrong: ' + secretKey)",
    'printJson({ key: [1, { secretKey }] })',
    'process.stderr.write(credentials.token)'
  ]
  for (const source of TELLING) assert.notDeepEqual(told(source), [], source)
  const SILENT = ["log.info('no token', { count }); sign(token)", `// \`\${token}\``, "new Wrong('a secretKey')"]
  for (const source of SILENT) assert.deepEqual(told(source), [], source)
})

test('I10: no offset passes through a number', () => {
  const broken = sources.flatMap(({ path, code }) =>
    [...code.matchAll(/(Number|parseInt|parseFloat)\([^()]*[oO]ffset\b[^()]*\)|[oO]ffset\??: number\b/g)].map(
      match => `${path}: ${match[0]}`
    )
  )
  assert.deepEqual(broken, [])
})

test('every invariant has an assertion or a static check, and a test whose title starts with its number', () => {
  const STATIC = ['I7', 'I8', 'I9', 'I10']
  const hasTest = (files: readonly SourceFile[], name: string): boolean =>
    files.some(({ text }) => new RegExp(`\\b(?:test|it)\\(\\s*['"\`]${name}: `).test(text))
  const here = tests.filter(({ path }) => path === 'test/repository.test.ts')
  for (const name of STATIC) assert.ok(hasTest(here, name), `${name} has no static check`)
  for (let number = 1; number <= 12; number++) {
    const name = `I${number}`
    const asserted = sources.some(({ text }) => new RegExp(`['"\`]${name}: `).test(text))
    assert.ok(asserted || STATIC.includes(name), `${name} has no assertion`)
    assert.ok(hasTest(tests, name), `${name} has no test`)
  }
})

test("the README's .env example is made from the option table", () => {
  assert.equal(readReadme(), withEnvExample(readReadme()), 'run `npm run readme`')
})

test("the README's option table is the option table", () => {
  assert.equal(readReadme(), withOptionTable(readReadme()), 'run `npm run readme`')
})

test("the README's quirks are those of the emulator", () => {
  assert.equal(readReadme(), withQuirkTable(readReadme()), 'run `npm run readme`')
})

test('flags and variables of the options are all different', () => {
  const rows: readonly { readonly flag?: string; readonly env?: string }[] = Object.values(OPTIONS)
  for (const kind of ['flag', 'env'] as const) {
    const names = rows.flatMap(row => row[kind] ?? [])
    assert.equal(new Set(names).size, names.length, kind)
  }
})

interface Edge {
  readonly from: string
  readonly to: string
  readonly isTypeOnly: boolean
}

function edges(files: readonly SourceFile[]): Edge[] {
  return files.flatMap(({ path, imports }) =>
    imports.map(({ target, isTypeOnly }) => ({ from: path, to: target, isTypeOnly }))
  )
}
