/**
 * What a module exports, judged as a processor.
 *
 * In: a module's exports. Out: a function that makes a `Processor` of options, or PROCESSOR_SHAPE with what is wrong and
 * what would be right. Must never pass: a hook that would never be called, or whose body would never run.
 *
 * Four forms of a default export: an object (an instance too), a function, a class, and any of them in compiled CommonJS.
 */
import { inspect } from 'node:util'
import { FAILURE_POLICIES, type FailurePolicy } from '../src/dispatch/messages.ts'
import { ClsConsumerError, fromFailure } from '../src/errors.ts'
import type { ProcessFunction, Processor } from './define-processor.ts'
import { describeThrown, userFailure } from './user-failure.ts'

/** Makes the processor of one consumer on one thread. @throws ClsConsumerError PROCESSOR_START_FAILED, PROCESSOR_SHAPE */
export type ProcessorFactory = (options: unknown) => Processor

type Constructor = new (options: unknown) => unknown

const HOOKS = ['start', 'assign', 'process', 'revoke', 'stop'] as const
const EXAMPLE = 'export default { process (batch, context) { … } }'

/** @throws ClsConsumerError PROCESSOR_SHAPE */
export function toFactory(exports: ReadonlyMap<string, unknown>, file: string): ProcessorFactory {
  if (!exports.has('default')) {
    const names = [...exports.keys()].join(', ')
    const has = names === '' ? 'it exports nothing' : `it exports only ${names}`
    throw wrong(`the processor's module has no default export: ${has}; write ${EXAMPLE}`, file)
  }
  const exported = unwrapCompiled(exports.get('default'))
  if (isClass(exported)) return options => checked(construct(exported, options, file), 'class makes what', file)
  if (isFunction(exported)) {
    if (isGenerator(exported)) throw wrong(`the processor's default export ${GENERATOR}`, file)
    const onFailure = policyOf(exported, file)
    const processor = onFailure === undefined ? { process: exported } : { process: exported, onFailure }
    return () => processor
  }
  const processor = checked(exported, 'default export', file)
  return () => processor
}

/** The processor's own word on failures, where it has one. @throws ClsConsumerError PROCESSOR_SHAPE */
export function policyOf(processor: object, file: string): FailurePolicy | undefined {
  const value: unknown = Reflect.get(processor, 'onFailure')
  const policy = FAILURE_POLICIES.find(each => each === value)
  if (value === undefined || policy !== undefined) return policy
  const policies = FAILURE_POLICIES.map(each => `'${each}'`).join(', ')
  const shown = inspect(value, { depth: 0, maxStringLength: 100, breakLength: Number.POSITIVE_INFINITY })
  throw wrong(`the processor has an onFailure that is ${shown}; it is one of ${policies}`, file)
}

const GENERATOR = 'is a generator function: nothing of its body would run; write an (async) function'

/** ES modules compiled to CommonJS say `exports.default = …` and set `__esModule`: seen from ESM, a default within it. */
function unwrapCompiled(exported: unknown): unknown {
  if (typeof exported !== 'object' || exported === null || !('__esModule' in exported)) return exported
  return 'default' in exported ? exported.default : exported
}

/**
 * Only a class's source begins so. One that was compiled to a function shows by its methods; to call it without `new`
 * would fail at the first batch instead of here.
 */
function isClass(value: unknown): value is Constructor {
  if (!isFunction(value)) return false
  if (/^class\b/.test(Function.prototype.toString.call(value))) return true
  const prototype: unknown = Reflect.get(value, 'prototype')
  return (
    typeof prototype === 'object' && prototype !== null && HOOKS.some(hook => isFunction(Reflect.get(prototype, hook)))
  )
}

function construct(Made: Constructor, options: unknown, file: string): unknown {
  try {
    return new Made(options)
  } catch (error) {
    throw fromFailure(userFailure('constructor', error, 'PROCESSOR_START_FAILED', { file }))
  }
}

function checked(processor: unknown, what: string, file: string): Processor {
  const subject = `the processor's ${what}`
  if (typeof processor !== 'object' || processor === null) {
    throw wrong(`${subject} is ${kindOf(processor)}, not an object, a function or a class; write ${EXAMPLE}`, file)
  }
  let problem: string | undefined
  try {
    problem = problemOf(processor)
    policyOf(processor, file)
    if (problem === undefined && isProcessor(processor)) return processor
  } catch (error) {
    if (error instanceof ClsConsumerError) throw error
    // A getter of the user's.
    problem = `cannot be read: ${describeThrown(error).message}`
  }
  throw wrong(`${subject} ${problem ?? `has no function process; write ${EXAMPLE}`}`, file)
}

function problemOf(processor: object): string | undefined {
  if (processor instanceof Promise) return 'is a Promise; write `export default await …`'
  for (const hook of HOOKS) {
    const value: unknown = Reflect.get(processor, hook)
    if (value === undefined) continue
    if (!isFunction(value)) return `has a ${hook} that is ${kindOf(value)}, not a function`
    if (isGenerator(value)) return `has a ${hook} that ${GENERATOR}`
  }
  for (const name of functionNames(processor)) {
    const meant = HOOKS.find(hook => hook !== name && stem(hook) === stem(name))
    if (meant !== undefined && !isFunction(Reflect.get(processor, meant))) {
      return `has a function ${name}, which would never be called: the name is ${meant}`
    }
  }
  return undefined
}

/** Own and inherited, so that an object made by a class is judged by its methods. Getters are not called. */
function functionNames(processor: object): string[] {
  const names: string[] = []
  for (let at: object | null = processor; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    const properties: [string, PropertyDescriptor][] = Object.entries(Object.getOwnPropertyDescriptors(at))
    for (const [name, { value }] of properties) if (name !== 'constructor' && isFunction(value)) names.push(name)
  }
  return names
}

/** `onRevoke`, `revoked` and `Revoke` have the stem of `revoke`; a helper such as `step` has that of no hook. */
function stem(name: string): string {
  return name
    .toLowerCase()
    .replace(/^on_?/, '')
    .replace(/(?:ped|ed|ing|e)$/, '')
}

function isProcessor(value: object): value is Processor {
  return 'process' in value && isFunction(value.process)
}

function isFunction(value: unknown): value is ProcessFunction {
  return typeof value === 'function'
}

function isGenerator(value: ProcessFunction): boolean {
  return /Generator/.test(Object.prototype.toString.call(value))
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return value === undefined ? 'undefined' : `of type ${typeof value}`
}

function wrong(message: string, file: string): ClsConsumerError {
  return new ClsConsumerError('PROCESSOR_SHAPE', message, { file })
}
