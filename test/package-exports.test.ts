/** `exports` as Node itself reads them: what a package of every odd shape resolves to is asked of this very Node. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { ClsConsumerError } from '../src/errors.ts'
import { exportedNames, resolveExports } from '../src/package-exports.ts'
import { findProcessor } from '../src/processor-source.ts'

const CONDITIONS = new Set(['node', 'import'])
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31))
const PACKAGE_COUNT = 300

let folder = ''
before(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cls-exports-')))
})
after(() => rm(folder, { recursive: true }))

for (const [name, exports, subpath, path] of [
  ['a text is the package itself', './a.js', '.', './a.js'],
  ['the first condition that holds decides', { require: './r.js', node: './n.js', import: './i.js' }, '.', './n.js'],
  [
    'conditions within conditions that lead nowhere are passed over',
    { node: { browser: './b.js' }, default: './d.js' },
    '.',
    './d.js'
  ],
  ['null ends the search', { node: null, default: './d.js' }, '.', undefined],
  ['of a list the first path that can be one', ['a.js', './b.js', './c.js'], '.', './b.js'],
  ['a subpath is found by its key', { '.': './a.js', './b': './c.js' }, './b', './c.js'],
  ['a pattern fills in what its star stood for', { './*': './lib/*/*.js' }, './a/b', './lib/a/b/a/b.js'],
  ['the longest pattern wins', { './*': './1.js', './a/*': './2.js', './a/*.js': './3.js' }, './a/b.js', './3.js'],
  ['an exact key goes before a pattern', { './*': './1.js', './a': './2.js' }, './a', './2.js'],
  ['a pattern told to be absent hides a wider one', { './*': './*.js', './in/*': null }, './in/a', undefined],
  ['a star stands for something', { './a*': './a.js' }, './a', undefined],
  ['what is not exported is not there', { '.': './a.js' }, './b', undefined]
] as const) {
  test(`exports: ${name}`, () => {
    const expected = path === undefined ? { kind: 'none' } : { kind: 'file', path }
    assert.deepEqual(resolveExports(exports, subpath, CONDITIONS), expected)
  })
}

for (const [name, exports, subpath] of [
  ['up', '../a.js', '.'],
  ['up by an escape', './%2e%2E/a.js', '.'],
  ['up in the middle', './a/../../b.js', '.'],
  ['into another package', './node_modules/a/b.js', '.'],
  ['up by what is asked for', { './*': './*.js' }, './../../a'],
  ['to an absolute path', '/a.js', '.'],
  ['by a number', 5, '.'],
  ['by mixed keys', { '.': './a.js', import: './b.js' }, '.'],
  ['by a condition that is a number', { 0: './a.js' }, '.'],
  ['by a list with such a condition', [{ 0: './a.js' }, './b.js'], '.']
] as const) {
  test(`exports that lead ${name} are told, and lead nowhere`, () => {
    assert.equal(resolveExports(exports, subpath, CONDITIONS).kind, 'invalid')
  })
}

test('what a package offers is listed by its keys', () => {
  assert.deepEqual(exportedNames({ '.': './a.js', './b': null }), ['.', './b'])
  assert.deepEqual(exportedNames({ import: './a.js' }), ['.'])
})

test(`packages of any shape resolve as this Node resolves them (seed ${SEED})`, { timeout: 60_000 }, async () => {
  const shapes = fc.sample(packageShape(), { seed: SEED, numRuns: PACKAGE_COUNT })
  const questions: string[] = []
  for (const [index, shape] of shapes.entries()) {
    const name = index % 5 === 0 ? `@scope/p${index}` : `p${index}`
    await plant(join(folder, 'node_modules', name), shape)
    questions.push(...SUBPATHS.map(subpath => `${name}${subpath}`))
  }
  const answers = await askNode(questions)
  const wrong = questions.filter((question, index) => ours(question) !== answers[index])
  assert.deepEqual(
    wrong.map(question => [question, shapes[Number(/\d+/.exec(question)?.[0])]]),
    []
  )
  const found = answers.filter(answer => answer !== undefined).length
  assert.ok(found > questions.length / 10 && found < questions.length, `${found} of ${questions.length} lead somewhere`)
})

const SUBPATHS = ['', '/a', '/a.js', '/a/b', '/a/b.js', '/lib/a.js', '/b']
const FILES = ['a.js', 'b.js', 'index.js', 'lib/a.js', 'lib/b.js', 'lib/index.js', 'a/b.js']

function packageShape(): fc.Arbitrary<object> {
  const path = fc.constantFrom(
    ...FILES.map(file => `./${file}`),
    ...['./*', './*.js', './lib/*.js', './lib/*', 'a.js', '../a.js', './lib/../a.js', './%61.js', './node_modules/a.js']
  )
  const conditions = fc.constantFrom(
    ...['node', 'import', 'require', 'default', 'module-sync', 'node-addons', 'browser', '0']
  )
  const { target } = fc.letrec<{ target: unknown }>(tie => ({
    target: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      { weight: 6, arbitrary: path },
      { weight: 1, arbitrary: fc.constantFrom(null, 7, '') },
      { weight: 2, arbitrary: fc.dictionary(conditions, tie('target'), { maxKeys: 3 }) },
      { weight: 1, arbitrary: fc.array(tie('target'), { maxLength: 3 }) }
    )
  }))
  const keys = fc.constantFrom(
    '.',
    './a',
    './b',
    './a.js',
    './*',
    './*.js',
    './a/*',
    './a*',
    './lib/*.js',
    './a/',
    './*/*'
  )
  const exports = fc.oneof(
    { weight: 3, arbitrary: fc.dictionary(keys, target, { minKeys: 1, maxKeys: 5 }) },
    // Nodes differ in what they make of a number.
    { weight: 2, arbitrary: target.filter(whole => typeof whole !== 'number') },
    { weight: 1, arbitrary: fc.dictionary(fc.oneof(keys, conditions), target, { maxKeys: 3 }) }
  )
  const main = fc.constantFrom('a', './a.js', 'lib', 'lib/a', 'gone', 5)
  return fc.oneof(
    { weight: 4, arbitrary: fc.record({ exports }) },
    { weight: 1, arbitrary: fc.record({ main }, { requiredKeys: [] }) }
  )
}

async function plant(at: string, settings: object): Promise<void> {
  await mkdir(join(at, 'lib'), { recursive: true })
  await mkdir(join(at, 'a'))
  await writeFile(join(at, 'package.json'), JSON.stringify(settings))
  for (const file of FILES) await writeFile(join(at, file), '')
}

/** The URLs that a module in the folder would import from; `undefined` where it could not. */
async function askNode(questions: readonly string[]): Promise<(string | undefined)[]> {
  const probe = join(folder, 'probe.mjs')
  // A file that is not there is told by its URL all the same, and a folder too.
  const source = `
    import { readFileSync, statSync } from 'node:fs'
    const answers = JSON.parse(readFileSync(process.argv[2], 'utf8')).map(question => {
      try {
        const url = import.meta.resolve(question)
        return statSync(new URL(url)).isFile() ? url : null
      } catch {
        return null
      }
    })
    process.stdout.write(JSON.stringify(answers))`
  await writeFile(probe, source)
  const list = join(folder, 'questions.json')
  await writeFile(list, JSON.stringify(questions))
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--no-warnings', probe, list], { maxBuffer: 1 << 26 })
  const answers: unknown = JSON.parse(stdout)
  assert.ok(Array.isArray(answers) && answers.length === questions.length)
  return answers.map(answer => (typeof answer === 'string' ? answer : undefined))
}

function ours(question: string): string | undefined {
  try {
    return pathToFileURL(findProcessor(question, folder).file).href
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError && error.code === 'PROCESSOR_NOT_FOUND', String(error))
    return undefined
  }
}
