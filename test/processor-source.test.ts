/** What a user calls the processor, and the file that is meant. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { ClsConsumerError } from '../src/errors.ts'
import { findProcessor, locateProcessor } from '../src/processor-source.ts'

let root = ''
let folder = ''

before(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'cls-source-')))
  folder = join(root, 'project')
  for (const file of [
    'project/p.mjs',
    'project/dir/index.js',
    'project/bare',
    'project/both',
    'project/späth #1.mjs'
  ]) {
    await write(file, 'export default () => {}')
  }
  await install('project', 'both', { main: 'main.js' }, 'main.js')
  await install(
    'project',
    'installed',
    { exports: { '.': './main.js', './sub': './lib/sub.js' } },
    'main.js',
    'lib/sub.js'
  )
  await install('project', '@scope/pkg', { main: 'lib' }, 'lib/index.js', 'sub.js')
  await install('.', 'above', {}, 'index.js')
  await install('project', 'shadowed', {}, 'index.js')
  await install('.', 'shadowed', {}, 'index.js')
  await install('project', 'broken', { exports: './dist/gone.js' })
  await install('project', 'empty', {})
  await install(
    'project',
    'sealed',
    { exports: { '.': { require: './main.cjs' }, './other': './main.cjs' } },
    'main.cjs'
  )
  await write('project/node_modules/spoilt/package.json', '{')
  await write('project/node_modules/nothing/package.json', 'null')
  await install('project', 'astray', { exports: '../p.mjs' })
  await install('project', 'patterns', { exports: { './*': './lib/*.js' } })
  await write('elsewhere/linked/package.json', '{ "exports": "./main.js" }')
  await write('elsewhere/linked/main.js', '')
  await symlink(join(root, 'elsewhere/linked'), join(folder, 'node_modules/linked'))
  await write('itself/package.json', '{ "name": "itself", "exports": { "./p": "./src/p.js" } }')
  await write('itself/src/p.js', '')
})
after(() => rm(root, { recursive: true }))

async function write(file: string, source: string): Promise<void> {
  const path = join(root, file)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, source)
}

async function install(at: string, name: string, settings: object, ...files: string[]): Promise<void> {
  for (const file of files) await write(`${at}/node_modules/${name}/${file}`, '')
  await write(`${at}/node_modules/${name}/package.json`, JSON.stringify(settings))
}

const found = (given: string): string => findProcessor(given, folder).file

function refuses(given: string, ...says: string[]): void {
  assert.throws(
    () => findProcessor(given, folder),
    (error: unknown) => {
      assert.ok(error instanceof ClsConsumerError && error.code === 'PROCESSOR_NOT_FOUND', String(error))
      for (const text of [given.replace(/^\.\//, ''), ...says])
        assert.ok(error.message.includes(text), `"${text}" is said in: ${error.message}`)
      return true
    }
  )
}

test('a path is seen from the folder, and may be absolute or a file: URL', () => {
  const path = join(folder, 'p.mjs')
  for (const given of ['./p.mjs', '../project/p.mjs', 'p.mjs', 'dir/../p.mjs', path, pathToFileURL(path).href]) {
    assert.deepEqual(findProcessor(given, folder), { file: path })
  }
  const odd = join(folder, 'späth #1.mjs')
  for (const given of ['./späth #1.mjs', 'späth #1.mjs', pathToFileURL(odd).href]) assert.equal(found(given), odd)
})

test('a name is a package of the folder or of one above it, the nearest first', () => {
  assert.equal(found('installed'), join(folder, 'node_modules/installed/main.js'))
  assert.equal(found('installed/sub'), join(folder, 'node_modules/installed/lib/sub.js'))
  assert.equal(found('@scope/pkg'), join(folder, 'node_modules/@scope/pkg/lib/index.js'))
  assert.equal(found('@scope/pkg/sub.js'), join(folder, 'node_modules/@scope/pkg/sub.js'))
  assert.equal(found('above'), join(root, 'node_modules/above/index.js'))
  assert.equal(found('shadowed'), join(folder, 'node_modules/shadowed/index.js'))
})

test('a linked package is found where it really is, as imports within it will be', () => {
  assert.equal(found('linked'), join(root, 'elsewhere/linked/main.js'))
})

test('a package may be named from inside itself', () => {
  const { file } = findProcessor('itself/p', join(root, 'itself/src'))
  assert.equal(file, join(root, 'itself/src/p.js'))
})

test('a file wins over a package of the same name, and says so', () => {
  const { file, warning } = findProcessor('both', folder)
  assert.equal(file, join(folder, 'both'))
  assert.match(warning ?? '', /the file is used.*package.*write \.\/both/)
  assert.deepEqual(findProcessor('./both', folder), { file })
  assert.deepEqual(findProcessor('bare', folder), { file: join(folder, 'bare') })
})

test('what cannot be found is located where it would be, with the reason; what can be, as it is found', () => {
  assert.deepEqual(locateProcessor('both', folder), findProcessor('both', folder))
  assert.deepEqual(locateProcessor('./p.mjs', folder), { file: join(folder, 'p.mjs') })
  for (const [given, file] of [
    ['./gone.mjs', join(folder, 'gone.mjs')],
    ['no-such', join(folder, 'no-such')],
    ['/no/such.mjs', '/no/such.mjs'],
    ['file:///no/such.mjs', 'file:///no/such.mjs']
  ] as const) {
    const { failure, ...located } = locateProcessor(given, folder)
    assert.deepEqual(located, { file })
    assert.equal(failure?.code, 'PROCESSOR_NOT_FOUND', given)
  }
})

test('a file wins although the package of its name cannot be used', async () => {
  await write('project/spoilt', '')
  await write('project/broken', '')
  for (const name of ['spoilt', 'broken']) assert.deepEqual(findProcessor(name, folder), { file: join(folder, name) })
  await rm(join(folder, 'spoilt'))
  await rm(join(folder, 'broken'))
})

test('what is neither file nor package is told with both places and the cure', () => {
  refuses(
    'my-sink',
    `no file ${join(folder, 'my-sink')}`,
    `in the node_modules of ${folder} or above`,
    '`npm install my-sink`'
  )
  refuses('@mine/sink/sub', 'no package @mine/sink', '`npm install @mine/sink`')
})

test('a file that is not there is told with its path, and the one that may be meant', () => {
  refuses('./gone.mjs', `file ${join(folder, 'gone.mjs')}`, 'no such file', 'give the path')
  refuses('gone.mjs', `no file ${join(folder, 'gone.mjs')}`, 'give the path')
  assert.throws(
    () => findProcessor('gone.mjs', folder),
    (error: Error) => !error.message.includes('npm install')
  )
  for (const given of ['./p', './p.js', 'p', 'p.js', './p.ts']) refuses(given, `did you mean ${join(folder, 'p.mjs')}?`)
  for (const given of ['./dir', 'dir']) refuses(given, `did you mean ${join(folder, 'dir/index.js')}?`)
  refuses('./dir', 'a folder, not a module')
})

test('a package that offers no such module is told with what it offers', () => {
  refuses('installed/gone', 'does not export ./gone', 'it exports ., ./sub', 'give the path')
  refuses('sealed', 'does not export . to an import', 'it exports ., ./other')
  refuses(
    'broken',
    `no file ${join(folder, 'node_modules/broken/dist/gone.js')}`,
    'build the package or install it again'
  )
  refuses('empty', `package.json of ${join(folder, 'node_modules/empty')}`, 'neither exports nor a usable main')
  refuses('@scope/pkg/gone.js', `no file ${join(folder, 'node_modules/@scope/pkg/gone.js')}`)
  refuses('@scope/pkg/lib', `no file ${join(folder, 'node_modules/@scope/pkg/lib')}`)
  assert.throws(() => findProcessor('itself/gone', join(root, 'itself/src')), {
    message: /package\.json of \S+itself does not export \.\/gone .* it exports \.\/p;/
  })
})

test('a package that is built wrongly is told with what is wrong', () => {
  const settings = join(folder, 'node_modules/spoilt/package.json')
  refuses('spoilt', `no file ${join(folder, 'spoilt')}`, 'as a package it cannot be used', settings, 'give the path')
  refuses('astray', 'as a package it cannot be used', '"../p.mjs"', join(folder, 'node_modules/astray/package.json'))
  refuses('patterns/../p', 'as a package it cannot be used', 'not a valid match')
  refuses('nothing', 'as a package it cannot be used', 'give the path')
})

test('what can be no name of a package is told as a file that is not there', () => {
  for (const given of ['.hidden', '@scope', '50%', '#private']) {
    refuses(given, `no file ${join(folder, given)}`, 'as a package it cannot be used', 'give the path')
    assert.throws(
      () => findProcessor(given, folder),
      (error: Error) => !error.message.includes('npm install')
    )
  }
})

test('modules of Node, other URLs and broken ones are no processors', () => {
  refuses('node:fs', 'a module of Node itself')
  refuses('events', 'a module of Node itself')
  refuses('fs/promises', 'a module of Node itself')
  refuses('https://example.com/p.mjs', 'only file:')
  refuses('data:text/javascript,export default 1', 'only file:')
  refuses('file://host/p.mjs', 'not a usable file: URL')
})
