import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import { loadProcessor } from '../../workers/processor.ts'

let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-processor-'))
})
after(() => rm(folder, { recursive: true }))

async function write(name: string, source: string): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, source)
  return file
}

/** The error names the file and says what would be right. */
async function refuses(file: string, code: ErrorCode, ...says: string[]): Promise<void> {
  await assert.rejects(loadProcessor(file), (error: unknown) => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, code)
    assert.ok(error.message.includes(file), `the file is named in: ${error.message}`)
    for (const text of says) assert.ok(error.message.includes(text), `"${text}" is said in: ${error.message}`)
    return true
  })
}

const OBJECT = '{ process (batch) { return [this.name, batch] }, name: "me" }'

for (const [name, source] of [
  ['object.mjs', `export default ${OBJECT}`],
  ['object.cjs', `module.exports = ${OBJECT}`],
  ['compiled.cjs', `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = ${OBJECT}`],
  ['made.mjs', 'class Mine { name = "me"; process (batch) { return [this.name, batch] } }; export default new Mine()'],
  ['function.mjs', 'export default function (batch) { return ["me", batch] }'],
  ['arrow.cjs', 'module.exports = async batch => ["me", batch]'],
  ['späth name #1.mjs', `export default ${OBJECT}`]
] as const) {
  test(`${name} is loaded by path and by file: URL`, async () => {
    const file = await write(name, source)
    for (const way of [file, pathToFileURL(file).href]) {
      const processor: { process(...values: unknown[]): unknown } = await loadProcessor(way)
      assert.deepEqual(await processor.process(1), ['me', 1])
    }
  })
}

test('hooks of an object are kept', async () => {
  const file = await write('hooks.mjs', 'export default { start () {}, process () {}, stop () {}, step () {} }')
  const processor = await loadProcessor(file)
  assert.deepEqual(
    [typeof processor.start, typeof processor.stop, typeof processor.revoke],
    ['function', 'function', 'undefined']
  )
})

test('a path that is not there is not found', async () => {
  await refuses(join(folder, 'absent.mjs'), 'PROCESSOR_NOT_FOUND', 'no such file')
})

test('a path without its ending is not found, and the file meant is named', async () => {
  const file = await write('near.mjs', 'export default () => {}')
  await refuses(join(folder, 'near'), 'PROCESSOR_NOT_FOUND', `did you mean ${file}?`)
})

test('a folder is not a module', async () => {
  const path = join(folder, 'folder')
  await mkdir(path)
  const index = await write('folder/index.js', 'export default () => {}')
  await refuses(path, 'PROCESSOR_NOT_FOUND', 'folder', `did you mean ${index}?`)
})

test('a relative path and a broken URL are not found', async () => {
  await refuses('./processor.mjs', 'PROCESSOR_NOT_FOUND', 'not absolute')
  await refuses('file://host/processor.mjs', 'PROCESSOR_NOT_FOUND', 'URL')
})

test('a syntax error is told with its line, or with what shows the line', async () => {
  const file = await write('syntax.mjs', '\n\nexport default { process ( }')
  await refuses(file, 'PROCESSOR_NOT_LOADED', 'SyntaxError', `node --check ${file}`)
  const common = await write('syntax.cjs', '\n\nmodule.exports = { process ( }')
  await refuses(common, 'PROCESSOR_NOT_LOADED', 'SyntaxError', 'syntax.cjs:3')
})

test('what a module throws while it loads is told with the stack of the module', async () => {
  const file = await write('throws.mjs', 'throw new RangeError("no disk")')
  await refuses(file, 'PROCESSOR_NOT_LOADED', 'RangeError: no disk')
  await assert.rejects(loadProcessor(file), (error: Error) => error.stack?.includes('throws.mjs:1') === true)
  await refuses(await write('throws.cjs', 'throw null'), 'PROCESSOR_NOT_LOADED', 'null')
})

test('a module whose own import is missing is not loaded, rather than not found', async () => {
  const file = await write('imports.mjs', 'import "./no-such-module.mjs"; export default () => {}')
  await refuses(file, 'PROCESSOR_NOT_LOADED', 'no-such-module.mjs', 'install or correct')
})

test('a file that this Node cannot run is told with the cure', async () => {
  await refuses(await write('typed.mts', 'export default () => {}'), 'PROCESSOR_NOT_LOADED', 'compile it')
  await refuses(await write('data.txt', 'hello'), 'PROCESSOR_NOT_LOADED', 'rename it')
})

for (const [name, source, ...says] of [
  ['named.mjs', 'export function process () {}', 'no default export', 'only process', 'export default {'],
  ['empty.mjs', '', 'exports nothing'],
  ['null.mjs', 'export default null', 'is null'],
  ['text.mjs', 'export default "process"', 'of type string'],
  ['undefined.mjs', 'export default undefined', 'is undefined'],
  ['empty.cjs', '', 'no function process'],
  ['list.mjs', 'export default { process: [] }', 'a process that is an array'],
  ['hook.mjs', 'export default { process () {}, stop: true }', 'a stop that is of type boolean'],
  ['class.mjs', 'export default class Mine { process () {} }', 'class', 'export default new'],
  ['on.mjs', 'export default { process () {}, onRevoke () {} }', 'onRevoke', 'the name is revoke'],
  ['ed.mjs', 'export default { process () {}, stopped () {} }', 'stopped', 'the name is stop'],
  ['case.mjs', 'export default { Process () {} }', 'Process', 'the name is process'],
  ['method.mjs', 'export default new (class { process () {} assigned () {} })()', 'assigned', 'the name is assign']
] as const) {
  test(`the shape of ${name} is refused with the cure`, async () => {
    await refuses(await write(`shape-${name}`, source), 'PROCESSOR_SHAPE', ...says)
  })
}
