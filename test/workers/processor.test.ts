import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { ClsConsumerError, type ErrorCode } from '../../src/errors.ts'
import type { Processor } from '../../workers/define-processor.ts'
import { loadProcessor } from '../../workers/processor.ts'
import { policyOf } from '../../workers/processor-shape.ts'

let folder = ''

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cls-processor-'))
})
after(() => rm(folder, { recursive: true }))

/** The processor that one consumer gets on one thread. */
async function make(file: string, options?: unknown): Promise<Processor> {
  const factory = await loadProcessor(file)
  return factory(options)
}

async function write(name: string, source: string): Promise<string> {
  const file = join(folder, name)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, source)
  return file
}

/** The error names the file and says what would be right. */
async function refuses(file: string, code: ErrorCode, ...says: string[]): Promise<void> {
  await assert.rejects(make(file), (error: unknown) => {
    assert.ok(error instanceof ClsConsumerError)
    assert.equal(error.code, code)
    assert.ok(error.message.includes(file), `the file is named in: ${error.message}`)
    for (const text of says) assert.ok(error.message.includes(text), `"${text}" is said in: ${error.message}`)
    return true
  })
}

const STRIPS_TYPES = typeof Reflect.get(process.features, 'typescript') === 'string'
const OBJECT = '{ process (batch) { return [this.name, batch] }, name: "me" }'

for (const [name, source] of [
  ['object.mjs', `export default ${OBJECT}`],
  ['object.cjs', `module.exports = ${OBJECT}`],
  ['compiled.cjs', `Object.defineProperty(exports, '__esModule', { value: true }); exports.default = ${OBJECT}`],
  ['made.mjs', 'class Mine { name = "me"; process (batch) { return [this.name, batch] } }; export default new Mine()'],
  ['class.mjs', 'export default class { name = "me"; process (batch) { return [this.name, batch] } }'],
  ['class.cjs', 'module.exports = class Mine { name = "me"; process (batch) { return [this.name, batch] } }'],
  ['field.mjs', 'export default class { process = batch => ["me", batch] }'],
  [
    'inherited.mjs',
    'class Base { process (batch) { return [this.name, batch] } }; export default class extends Base { name = "me" }'
  ],
  [
    'old-class.cjs',
    'function Mine () { if (!new.target) throw 1; this.name = "me" }; Mine.prototype.process = function (batch) { return [this.name, batch] }; module.exports = Mine'
  ],
  [
    'compiled-class.cjs',
    "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = class { process (batch) { return ['me', batch] } }"
  ],
  ['function.mjs', 'export default function (batch) { return ["me", batch] }'],
  ['arrow.cjs', 'module.exports = async batch => ["me", batch]'],
  ['späth name #1.mjs', `export default ${OBJECT}`]
] as const) {
  test(`${name} is loaded`, async () => {
    const file = await write(name, source)
    const processor: { process(...values: unknown[]): unknown } = await make(file)
    assert.deepEqual(await processor.process(1), ['me', 1])
  })
}

test('hooks of an object are kept', async () => {
  const file = await write('hooks.mjs', 'export default { start () {}, process () {}, stop () {}, step () {} }')
  const processor = await make(file)
  assert.deepEqual(
    [typeof processor.start, typeof processor.stop, typeof processor.revoke],
    ['function', 'function', 'undefined']
  )
})

test('helpers and getters of a processor are nobody else’s business', async () => {
  const source =
    'export default class { process () {} step () {} get lag () { throw new Error("called") } static stopped () {} }'
  assert.equal(typeof (await make(await write('helpers.mjs', source))).process, 'function')
})

test('a file that is gone when a thread loads it is not found, whatever kind of module it was', async () => {
  for (const name of ['gone #1.mjs', 'gone.cjs']) {
    await refuses(join(folder, name), 'PROCESSOR_NOT_FOUND', 'gone since the start; put it back')
  }
})

test('each consumer on a thread gets an instance of its own of a class, made with its options', async () => {
  const file = await write(
    'counter.mjs',
    'export default class { #options; #count = 0; constructor (options) { this.#options = options } process () { return [this.#options, ++this.#count] } }'
  )
  const factory = await loadProcessor(file)
  const [one, two]: readonly { process(...values: unknown[]): unknown }[] = [factory('one'), factory('two')]
  assert.deepEqual(
    [one?.process(), one?.process(), two?.process()],
    [
      ['one', 1],
      ['one', 2],
      ['two', 1]
    ]
  )
})

test('of an object every consumer on a thread gets the same', async () => {
  const factory = await loadProcessor(await write('shared.mjs', 'export default { process () {} }'))
  assert.equal(factory('one'), factory('two'))
})

test('a constructor that throws is PROCESSOR_START_FAILED with the place and the stack of the module', async () => {
  const file = await write('constructor.mjs', '\nexport default class Mine {\n  constructor () { null.x }\n}')
  await refuses(file, 'PROCESSOR_START_FAILED', 'constructor threw TypeError', `${file}:3:`)
  await assert.rejects(make(file), (error: Error) => error.stack?.includes('new Mine') === true)
})

test('a syntax error is told with its line, whichever kind of module it is in', async () => {
  for (const ending of ['mjs', 'cjs', 'js']) {
    const name = `syntax #1.${ending}`
    const file = await write(name, `\n\n${ending === 'cjs' ? 'module.exports =' : 'export default'} { process ( }`)
    await refuses(file, 'PROCESSOR_NOT_LOADED', 'SyntaxError', `${file}:3`)
  }
})

test('a syntax error in an import is not taken for one of the file', async () => {
  await write('inner.mjs', 'export default {')
  const file = await write('outer.mjs', 'import "./inner.mjs"; export default () => {}')
  await refuses(file, 'PROCESSOR_NOT_LOADED', 'SyntaxError', 'the file itself is sound')
})

test('an ES module that Node takes for CommonJS is told with the name to give it and the package.json to set', async () => {
  const decides = await write('common/package.json', '{ "type": "commonjs" }')
  await write('common/node_modules/a/package.json', '{ "type": "commonjs" }')
  const sets = `set "type": "module" in ${decides}`
  for (const [name, source, ...says] of [
    ['imports.js', 'import { join } from "node:path"; export default () => join("a")', 'name it imports.mjs', sets],
    ['lib/deep.exports.js', '\n\nexport default () => {}', 'lib/deep.exports.js:3', 'name it deep.exports.mjs', sets],
    ['meta.js', 'module.exports = () => import.meta.url', 'name it meta.mjs', sets],
    ['common.cjs', 'export default () => {}', 'name it common.mjs (file'],
    [
      'outer.js',
      'module.exports = require("./lib/deep.exports.js")',
      'lib/deep.exports.js:3; it is',
      'deep.exports.mjs'
    ],
    ['node_modules/a/a.js', 'export default () => {}', 'its package lacks "type": "module"']
  ] as const) {
    await refuses(await write(`common/${name}`, source), 'PROCESSOR_NOT_LOADED', 'SyntaxError', 'ES module', ...says)
  }
})

test('TypeScript that Node takes for CommonJS is told with the name to give it', { skip: !STRIPS_TYPES }, async () => {
  const decides = await write('common/package.json', '{ "type": "commonjs" }')
  const says = ['name it typed.mts', `set "type": "module" in ${decides}`]
  await refuses(await write('common/typed.ts', 'export default (n: number) => n'), 'PROCESSOR_NOT_LOADED', ...says)
})

test('another syntax error of a CommonJS file is not taken for an ES module', async () => {
  for (const source of ['module.exports = { process ( }', 'JSON.parse("export")']) {
    await assert.rejects(loadProcessor(await write('common/plain.cjs', source)), (error: Error) => {
      assert.match(error.message, /SyntaxError/)
      assert.doesNotMatch(error.message, /ES module/)
      return true
    })
  }
})

test('an import of a name that is not exported is told with its line', async () => {
  await write('names.mjs', 'export const there = 1')
  const file = await write('naming.mjs', '\nimport { gone } from "./names.mjs"; export default () => {}')
  await refuses(file, 'PROCESSOR_NOT_LOADED', "named 'gone'", `${file}:2`)
})

test('what a module throws while it loads is told with the stack of the module', async () => {
  const file = await write('throws.mjs', 'throw new RangeError("no disk")')
  await refuses(file, 'PROCESSOR_NOT_LOADED', `RangeError: no disk at ${file}:1:`)
  await assert.rejects(loadProcessor(file), (error: Error) => /\n +at .*throws\.mjs:1/.test(error.stack ?? ''))
  await refuses(await write('throws.cjs', 'throw null'), 'PROCESSOR_NOT_LOADED', 'null')
})

test('a module whose own import is missing is not loaded, rather than not found', async () => {
  const file = await write('imports.mjs', 'import "./no-such-module.mjs"; export default () => {}')
  await refuses(file, 'PROCESSOR_NOT_LOADED', 'no-such-module.mjs', 'install or correct')
  const common = await write('requires.cjs', 'require("no-such-package"); module.exports = () => {}')
  await refuses(
    common,
    'PROCESSOR_NOT_LOADED',
    "Cannot find module 'no-such-package' Require stack:",
    'install or correct'
  )
})

test('a file that this Node cannot run is told with the cure', async () => {
  await refuses(await write('data.txt', 'hello'), 'PROCESSOR_NOT_LOADED', 'rename it')
  await refuses(
    await write('view.tsx', 'export default () => {}'),
    'PROCESSOR_NOT_LOADED',
    'no Node runs it: compile it'
  )
  await refuses(await write('data.json', '{}'), 'PROCESSOR_NOT_LOADED', 'a processor is a JavaScript module')
})

for (const [name, source] of [
  ['typed.ts', 'export default (batch: number): unknown => ["me", batch]'],
  ['typed.mts', 'export default class { process (batch: number): unknown { return ["me", batch] } }'],
  ['typed.cts', 'module.exports = { process: (batch: number): unknown => ["me", batch] }']
] as const) {
  test(`${name} is loaded where this Node strips types, and refused with the cure where it does not`, async () => {
    const file = await write(name, source)
    if (!STRIPS_TYPES) return await refuses(file, 'PROCESSOR_NOT_LOADED', 'compile it', 'Node 22.18', process.version)
    const processor: { process(...values: unknown[]): unknown } = await make(file)
    assert.deepEqual(await processor.process(1), ['me', 1])
  })
}

test('TypeScript that is more than types is told with the cure', { skip: !STRIPS_TYPES }, async () => {
  const file = await write('enum.ts', '\nenum Level { Error }\nexport default () => Level.Error')
  await refuses(file, 'PROCESSOR_NOT_LOADED', `${file}:2`, 'compile it, or write it without enums')
})

for (const [name, source] of [
  ['object.mjs', 'export default { process () {}, onFailure: "skip" }'],
  ['class.mjs', 'export default class { onFailure = "skip"; process () {} }'],
  [
    'inherited.mjs',
    'class Base { get onFailure () { return "skip" } }; export default class extends Base { process () {} }'
  ],
  ['function.mjs', 'const mine = () => {}; mine.onFailure = "skip"; export default mine'],
  ['function.cjs', 'module.exports = () => {}; module.exports.onFailure = "skip"']
] as const) {
  test(`the onFailure of ${name} is kept`, async () => {
    const file = await write(`policy-${name}`, source)
    const processor = await make(file)
    assert.equal(processor.onFailure, 'skip')
    assert.equal(policyOf(processor, file), 'skip')
  })
}

test('a static onFailure of a class is not that of its processors, and none is none', async () => {
  const source = 'export default class { static onFailure = "often"; process () {} }'
  assert.equal((await make(await write('policy-static.mjs', source))).onFailure, undefined)
  const plain = await make(await write('policy-none.mjs', 'export default () => {}'))
  assert.equal('onFailure' in plain, false)
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
  ['class.mjs', 'export default class Mine { static process () {} }', 'class makes what has no function process'],
  ['class-hook.mjs', 'export default class { process () {} onStart () {} }', 'onStart', 'the name is start'],
  ['promise.mjs', 'export default Promise.resolve({ process () {} })', 'a Promise', 'export default await'],
  [
    'policy.mjs',
    'export default { process () {}, onFailure: "retry" }',
    "'retry'",
    "'stop', 'dead-letter', 'skip', 'park'"
  ],
  ['policy-case.mjs', 'export default class { onFailure = "Skip"; process () {} }', "'Skip'", "'skip'"],
  ['policy-null.mjs', 'export default { process () {}, onFailure: null }', 'onFailure that is null'],
  ['policy-hook.mjs', 'export default { process () {}, onFailure () {} }', 'onFailure that is [Function', "'skip'"],
  ['policy-function.mjs', 'const f = () => {}; f.onFailure = 5; export default f', 'onFailure that is 5'],
  ['policy-getter.mjs', 'export default { process () {}, get onFailure () { throw new Error("not yet") } }', 'not yet'],
  ['generator.mjs', 'export default function * (batch) { yield batch }', 'generator', 'would run'],
  ['generators.mjs', 'export default { async * process (batch) { yield batch } }', 'a process that is a generator'],
  ['getter.mjs', 'export default { get process () { throw new Error("not yet") } }', 'cannot be read', 'not yet'],
  ['on.mjs', 'export default { process () {}, onRevoke () {} }', 'onRevoke', 'the name is revoke'],
  ['ed.mjs', 'export default { process () {}, stopped () {} }', 'stopped', 'the name is stop'],
  ['case.mjs', 'export default { Process () {} }', 'Process', 'the name is process'],
  ['method.mjs', 'export default new (class { process () {} assigned () {} })()', 'assigned', 'the name is assign']
] as const) {
  test(`the shape of ${name} is refused with the cure`, async () => {
    await refuses(await write(`shape-${name}`, source), 'PROCESSOR_SHAPE', ...says)
  })
}
