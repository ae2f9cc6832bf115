/** Options for code, from a file and the environment as on the command line. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Consumer, loadOptions } from '../src/index.ts'
import { resolveOptions } from '../src/resolve-options.ts'

const folder = mkdtempSync(join(tmpdir(), 'cls-load-'))
after(() => rmSync(folder, { recursive: true }))
const config = join(folder, 'consumer.yaml')
writeFileSync(
  config,
  ['endpoint: http://127.0.0.1:1', 'logsetId: l', 'topicIds: [t]', 'group: g', 'processor: p.mjs', 'threads: 2'].join(
    '\n'
  )
)

writeFileSync(join(folder, 'p.mjs'), 'export default function process() {}')

const CONNECTION = { endpoint: 'http://127.0.0.1:1', logsetId: 'l', topicIds: ['t'], group: 'g' }
const KEY = { CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }

test('code outweighs the environment, that the file, and that the defaults', () => {
  const env = { ...KEY, CLS_GROUP: 'by-variable', CLS_THREADS: '3', CLS_CONFIG: 'not-read.yaml' }
  const options = resolveOptions(loadOptions({ group: 'by-code', threads: undefined }, { config, env }))
  const { group, threads, logsetId, processor, pullBytes, credentials, consumer } = options
  assert.deepEqual(
    [group, threads, logsetId, processor, pullBytes, credentials, consumer],
    ['by-code', 3, 'l', join(folder, 'p.mjs'), 2 * 1024 * 1024, { secretId: 'i', secretKey: 'k' }, undefined]
  )
})

test('CLS_CONFIG names the file where code does not; a processor that it does not give is left as it is', () => {
  const { processor } = resolveOptions(
    loadOptions({}, { env: { ...KEY, CLS_CONFIG: config, CLS_PROCESSOR: './q.mjs' } })
  )
  assert.equal(processor, './q.mjs')
})

test('what it gives is enough for a consumer, with functions and an access key from code', () => {
  const credentials = () => ({ secretId: 'i', secretKey: 'k' })
  const onResult = () => undefined
  const options = loadOptions({ credentials, onResult, consumer: 'c' }, { config, env: {} })
  assert.equal(options.onResult, onResult)
  assert.equal(new Consumer(options).name, 'c')
})

test('a processor of the file is seen from its folder: a path, a package there, or what is not there yet', () => {
  mkdirSync(join(folder, 'node_modules/counter'), { recursive: true })
  writeFileSync(join(folder, 'node_modules/counter/index.mjs'), 'export default function process() {}')
  writeFileSync(join(folder, 'node_modules/counter/package.json'), '{"exports": "./index.mjs"}')
  for (const [processor, file] of [
    ['./p.mjs', join(folder, 'p.mjs')],
    ['counter', realpathSync(join(folder, 'node_modules/counter/index.mjs'))],
    ['./later.mjs', join(folder, 'later.mjs')],
    ['file:///later.mjs', 'file:///later.mjs']
  ] as const) {
    const other = join(folder, 'other.json')
    writeFileSync(other, JSON.stringify({ ...CONNECTION, processor }))
    assert.equal(loadOptions({}, { config: other, env: KEY }).processor, file)
  }
})

test('a directory of dead letters of the file is in its folder; one from code is left as it is', () => {
  const dead = join(folder, 'dead.yaml')
  writeFileSync(dead, JSON.stringify({ ...CONNECTION, processor: './p.mjs', deadLetterDirectory: 'dead' }))
  assert.equal(loadOptions({}, { config: dead, env: KEY }).deadLetterDirectory, join(folder, 'dead'))
  const env = { ...KEY, CLS_DEAD_LETTER_DIRECTORY: 'other' }
  assert.equal(loadOptions({}, { config: dead, env }).deadLetterDirectory, join(process.cwd(), 'other'))
  const ofCode = { deadLetterDirectory: 'mine' }
  assert.equal(loadOptions(ofCode, { config: dead, env }).deadLetterDirectory, 'mine')
})

test('a processor of the file that means a file and a package is the file, with a warning of the process', async t => {
  mkdirSync(join(folder, 'node_modules/both'), { recursive: true })
  writeFileSync(join(folder, 'node_modules/both/index.js'), '')
  writeFileSync(join(folder, 'both'), '')
  const both = join(folder, 'both.json')
  writeFileSync(both, JSON.stringify({ ...CONNECTION, processor: 'both' }))
  const warned: string[] = []
  let keep = (_: Error): void => undefined
  const all = new Promise<void>(resolve => {
    keep = ({ name, message }) => (name === 'LastWarning' ? resolve() : void warned.push(`${name}: ${message}`))
  })
  process.on('warning', keep)
  t.after(() => process.off('warning', keep))
  assert.equal(loadOptions({ processor: './of-code.mjs' }, { config: both, env: KEY }).processor, './of-code.mjs')
  assert.equal(loadOptions({}, { config: both, env: KEY }).processor, join(folder, 'both'))
  // Warnings come later, and in order.
  process.emitWarning('that was all', 'LastWarning')
  await all
  assert.deepEqual(warned, [
    'ClsConsumerWarning: processor both: the file is used, and not the package of that name; write ./both to say so'
  ])
})

test('everything wrong comes in one error, in the words of each source', () => {
  const wrong = join(folder, 'wrong.yaml')
  writeFileSync(wrong, 'grup: g\nthreads: 0\n')
  assert.throws(() => loadOptions({ pullBytes: 1 }, { config: wrong, env: { CLS_NETWORK: 'moon' } }), {
    code: 'OPTIONS_INVALID',
    message: [
      '10 invalid options:',
      `file ${wrong} line 1: unknown option grup (did you mean group?)`,
      'CLS_NETWORK is "moon", expected public or intranet or international',
      `file ${wrong} line 2: threads is 0, expected a whole number of threads from 1 to 256`,
      'credentials is missing: Access key; on the command line from CLS_SECRET_ID, CLS_SECRET_KEY and CLS_TOKEN alone (CLS_SECRET_ID is not set, CLS_SECRET_KEY is not set)',
      'logsetId is missing: Logset of the topics (CLS_LOGSET_ID, logsetId in a config file)',
      'topicIds is missing: Topics to consume, all of one logset (CLS_TOPIC_IDS, topicIds in a config file)',
      'group is missing: Consumer group; created where absent (CLS_GROUP, group in a config file)',
      "processor is missing: Module of the processor: a path (relative to the working folder, or the config file's), a file: URL or the name of a package (CLS_PROCESSOR, processor in a config file)",
      'pullBytes is 1, expected a whole number of bytes from 1024 to 10485760',
      'neither endpoint nor region is given: give the region, such as ap-guangzhou (CLS_REGION, region in a config file)'
    ].join('\n  - ')
  })
  assert.throws(() => loadOptions({}, { config: join(folder, 'none.yaml'), env: KEY }), {
    code: 'OPTIONS_INVALID',
    message: /^invalid option:\n {2}- file .*none\.yaml \(config\): cannot be read: ENOENT/
  })
})
