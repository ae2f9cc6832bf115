/** Names of packages as Node itself reads them: where a package of every odd shape leads is asked of this very Node. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { ClsConsumerError } from '../src/errors.ts'
import { findProcessor } from '../src/processor-source.ts'

let folder = ''
before(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'cls-packages-')))
})
after(() => rm(folder, { recursive: true }))

test('packages of any shape are resolved as this Node resolves them', { timeout: 60_000 }, async () => {
  const questions: string[] = ['events', 'events/', 'fs', '#inner', '#gone', 'odd', 'odd/b']
  const own = { name: 'odd', exports: './a.js', imports: { '#inner': './b.js' } }
  await write('package.json', JSON.stringify(own))
  await write('a.js', '')
  await write('b.js', '')
  for (const name of ['events', 'odd']) await install(name, { main: 'main.js' }, 'main.js')
  for (const [index, settings] of SHAPES.entries()) {
    const name = index % 5 === 0 ? `@odd/p${index}` : `p${index}`
    await install(name, settings, ...SHAPE_FILES)
    questions.push(...SUBPATHS.map(subpath => `${name}${subpath}`))
  }
  const answers = await askNode(questions)
  const ours = questions.map(question => resolved(question))
  assert.deepEqual(
    questions.map((question, index) => [question, ours[index]]),
    questions.map((question, index) => [question, answers[index]])
  )
  const foundCount = answers.filter(answer => answer !== null).length
  assert.ok(
    foundCount > 40 && questions.length - foundCount > 40,
    `${foundCount} of ${questions.length} lead somewhere`
  )
})

test('a condition that holds and has none within that holds is refused with the cure, where an import goes on', async () => {
  await install('deep', { exports: { node: { browser: './b.js' }, default: './a.js' } }, 'a.js', 'b.js')
  assert.throws(() => findProcessor('deep', folder), {
    code: 'PROCESSOR_NOT_FOUND',
    message: /does not export \. to an import.*give the path of its module/
  })
  assert.deepEqual(await askNode(['deep']), [pathToFileURL(join(folder, 'node_modules/deep/a.js')).href])
})

const SUBPATHS = ['', '/a', '/a.js', '/a/b', '/lib/a.js', '/lib', '/']
const SHAPE_FILES = ['a.js', 'b.js', 'index.js', 'lib/a.js', 'lib/b.js', 'lib/index.js', 'lib/a/b.js', 'a/b.js']
const EXPORTS: readonly unknown[] = [
  // The package itself.
  ...['./a.js', './gone.js', './lib', 'a.js', '../a.js', '/a.js', './%61.js', './lib%2fa.js', './lib/../a.js', ''],
  ...['./%2e%2E/a.js', './node_modules/a.js', './lib//a.js', null],
  ...[[], ['a.js', './b.js'], [null, './b.js'], ['./gone.js', './b.js'], [{ browser: './a.js' }, './b.js']],
  { require: './a.js', node: './b.js', import: './index.js' },
  { require: './a.js' },
  { node: null, default: './a.js' },
  { import: { node: './b.js', default: './a.js' } },
  { 'node-addons': './b.js', default: './a.js' },
  { 'module-sync': './b.js', default: './a.js' },
  ...[{ 0: './a.js' }, [{ 0: './a.js' }, './b.js'], { default: 7 }, {}, { '.': './a.js', import: './b.js' }],
  // Subpaths and patterns.
  { '.': './a.js', './a': './b.js' },
  { './a': null, './*': './*.js' },
  { './*': './*' },
  { './*': './lib/*/*.js' },
  { './*.js': './lib/*.js' },
  { './a*': './a.js' },
  { './*/*': './a.js' },
  { './*': './a.js', './lib/*': './b.js', './lib/*.js': './index.js' },
  { './*': './*.js', './a/*': null },
  ...[{ './a/': './lib/' }, { './': './' }, { './*': '../*' }, { './*': ['*', './*'] }, { './*': { import: './*' } }]
]
const SHAPES: readonly object[] = [
  ...[{}, { main: 'a' }, { main: './b.js' }, { main: 'lib' }, { main: 'lib/a' }, { main: 'gone' }, { main: 5 }],
  ...EXPORTS.map(exports => ({ main: 'b.js', exports }))
]

async function write(file: string, source: string): Promise<void> {
  const path = join(folder, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, source)
}

async function install(name: string, settings: object, ...files: string[]): Promise<void> {
  for (const file of files) await write(`node_modules/${name}/${file}`, '')
  await write(`node_modules/${name}/package.json`, JSON.stringify(settings))
}

function resolved(given: string): string | null {
  try {
    return pathToFileURL(findProcessor(given, folder).file).href
  } catch (error) {
    assert.ok(error instanceof ClsConsumerError && error.code === 'PROCESSOR_NOT_FOUND', String(error))
    return null
  }
}

/** The URLs that a module in the folder would import from; `null` where it could not. */
async function askNode(questions: readonly string[]): Promise<unknown[]> {
  // A file that is not there is told by its URL all the same, and a folder too.
  const source = `
    import { statSync } from 'node:fs'
    const answers = JSON.parse(process.argv[2]).map(question => {
      try {
        const url = import.meta.resolve(question)
        return statSync(new URL(url)).isFile() ? url : null
      } catch {
        return null
      }
    })
    process.stdout.write(JSON.stringify(answers))`
  const probe = join(folder, 'probe.mjs')
  await writeFile(probe, source)
  const args = ['--no-warnings', probe, JSON.stringify(questions)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const answers: unknown = JSON.parse(stdout)
  assert.ok(Array.isArray(answers) && answers.length === questions.length)
  return answers
}
