/**
 * From what the user calls the processor to the file of its module.
 *
 * In: a path, a `file:` URL or the name of a package, and the folder that the first and the last are seen from. Out: an
 * absolute path, or PROCESSOR_NOT_FOUND with what was looked for, where, and the cure. Must never happen: user code that
 * runs here, on the main thread (I7); a name that means one thing today and, after a file appeared, silently another.
 *
 * A name without `./` may be both, `my-processor` a file of the folder and a package. The file wins, with a warning.
 * Packages are found as `import` finds them from a module in the folder, but for `--conditions` and Plug'n'Play.
 */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ClsConsumerError } from './errors.ts'
import { exportedNames, resolveExports } from './package-exports.ts'

export interface FoundProcessor {
  /** Absolute path of the module. */
  readonly file: string
  /** What the user should know about how it was found. */
  readonly warning?: string
}

const ENDINGS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']
/** Where a package without `exports` may have its module. */
const MAIN_ENDINGS = ['', '.js', '.json', '.node', '/index.js', '/index.json', '/index.node']
const NAMES_MAX = 8

/** @throws ClsConsumerError PROCESSOR_NOT_FOUND */
export function findProcessor(given: string, folder: string): FoundProcessor {
  if (given.startsWith('file:')) return findFile(fromUrl(given))
  if (isAbsolute(given)) return findFile(given)
  if (/^\.{0,2}([/\\]|$)/.test(given)) return findFile(resolve(folder, given))
  // A Windows path has one letter before its colon.
  if (/^[a-z][a-z0-9+.-]+:/i.test(given)) {
    throw notFound(
      isBuiltin(given) ? ofNode(given) : `of URLs only file: ones lead to a processor, not ${given}`,
      given
    )
  }
  return findNamed(given, folder)
}

function fromUrl(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (error) {
    throw notFound(`not a usable file: URL: ${error instanceof Error ? error.message : error}`, url, error)
  }
}

function findFile(path: string): FoundProcessor {
  const kind = kindOfPath(path)
  if (kind === 'file') return { file: path }
  const near = nearFile(path)
  const cure = near === undefined ? 'give the path of the module file' : `did you mean ${near}?`
  throw notFound(`${kind === 'folder' ? 'this is a folder, not a module' : 'there is no such file'}; ${cure}`, path)
}

/** A file without its ending or with another one, or the index of a folder. */
function nearFile(path: string): string | undefined {
  const stem = path.replace(/\.[cm]?[jt]s$/, '')
  const candidates = [path, stem, join(path, 'index')].flatMap(start => ENDINGS.map(ending => `${start}${ending}`))
  return candidates.find(candidate => kindOfPath(candidate) === 'file')
}

function findNamed(given: string, folder: string): FoundProcessor {
  const path = resolve(folder, given)
  const isFile = kindOfPath(path) === 'file'
  let found: string | undefined
  try {
    found = findInPackages(given, folder)
  } catch (error) {
    // A package that is there and cannot be used is no reason against the file.
    if (!isFile) throw error
    return { file: path }
  }
  if (isFile) {
    if (found === undefined) return { file: path }
    const warning = `processor ${given}: the file is used, and not the package of that name; write ./${given} to say so`
    return { file: path, warning }
  }
  if (found !== undefined) return { file: found }
  if (isBuiltin(given)) throw notFound(ofNode(given), given)
  throw nowhere(given, folder)
}

function nowhere(given: string, folder: string): ClsConsumerError {
  const path = resolve(folder, given)
  const near = nearFile(path)
  const name = splitName(given)?.name
  const looksLikeFile = ENDINGS.some(ending => given.endsWith(ending))
  const looked =
    name === undefined || looksLikeFile ? '' : `, and no package ${name} in the node_modules of ${folder} or above`
  let cure = 'give the path of the module file'
  if (near !== undefined) cure = `did you mean ${near}?`
  else if (looked !== '') cure = `install it (\`npm install ${name}\`), or ${cure}`
  return notFound(`there is no file ${path}${looked}; ${cure}`, given)
}

// ---- Packages ----

interface Package {
  readonly folder: string
  readonly settings: Readonly<Record<string, unknown>>
}

/** The real path of the module that the name means, or `undefined` where there is no such package. */
function findInPackages(given: string, folder: string): string | undefined {
  const split = splitName(given)
  if (split === undefined) return undefined
  const { name, subpath } = split
  const found = findItself(name, folder) ?? findInstalled(name, folder)
  if (found === undefined) return undefined
  const path = moduleOf(found, subpath, given)
  if (kindOfPath(path) !== 'file') {
    throw notFound(`package ${name} has no file ${path}; build it or install it again`, given)
  }
  return realpathSync(path)
}

/** `@scope/name/sub/path` → `@scope/name` and `./sub/path`. */
function splitName(given: string): { readonly name: string; readonly subpath: string } | undefined {
  const [whole, name, rest] = /^((?:@[^/\\%]+\/)?[^@./\\%][^/\\%]*)(\/.*)?$/s.exec(given) ?? []
  return whole === undefined || name === undefined ? undefined : { name, subpath: `.${rest ?? ''}` }
}

/** A package with `exports` may be named from inside itself. */
function findItself(name: string, folder: string): Package | undefined {
  for (const at of upwards(folder)) {
    if (basename(at) === 'node_modules') return undefined
    const settings = readPackage(at)
    if (settings === undefined) continue
    return settings.name === name && hasExports(settings) ? { folder: at, settings } : undefined
  }
  return undefined
}

function findInstalled(name: string, folder: string): Package | undefined {
  for (const at of upwards(folder)) {
    const candidate = join(at, 'node_modules', name)
    if (kindOfPath(candidate) === 'folder') return { folder: candidate, settings: readPackage(candidate) ?? {} }
  }
  return undefined
}

function* upwards(folder: string): Generator<string, void, undefined> {
  for (let at = folder; ; at = dirname(at)) {
    yield at
    if (dirname(at) === at) return
  }
}

function readPackage(folder: string): Readonly<Record<string, unknown>> | undefined {
  const file = join(folder, 'package.json')
  if (kindOfPath(file) !== 'file') return undefined
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof parsed === 'object' && parsed !== null ? { ...parsed } : {}
  } catch (error) {
    throw notFound('the package.json on the way to it cannot be read', file, error)
  }
}

function hasExports({ exports }: Readonly<Record<string, unknown>>): boolean {
  return exports !== undefined && exports !== null
}

/** Where the module should be, by the package's own word. */
function moduleOf({ folder, settings }: Package, subpath: string, given: string): string {
  const place = `package.json of ${folder}`
  if (!hasExports(settings)) {
    if (subpath !== '.') return withinPackage(folder, subpath)
    const main = mainOf(folder, settings.main)
    if (main !== undefined) return main
    throw notFound(`${place} names no module: it has neither exports nor a usable main`, given)
  }
  const answer = resolveExports(settings.exports, subpath, importConditions())
  if (answer.kind === 'file') return withinPackage(folder, answer.path)
  if (answer.kind === 'invalid') throw notFound(`${place} is not usable: ${answer.why}`, given)
  const names = exportedNames(settings.exports)
  const some = `${names.slice(0, NAMES_MAX).join(', ')}${names.length > NAMES_MAX ? ', …' : ''}`
  throw notFound(`${place} does not export ${subpath} to an import; it exports ${some}`, given)
}

/** A path in package.json is a URL relative to it. */
function withinPackage(folder: string, path: string): string {
  return fromUrl(new URL(path, `${pathToFileURL(folder).href}/`).href)
}

function mainOf(folder: string, main: unknown): string | undefined {
  const named = typeof main === 'string' ? MAIN_ENDINGS.map(ending => join(folder, `${main}${ending}`)) : []
  const index = MAIN_ENDINGS.slice(-3).map(ending => join(folder, ending))
  return [...named, ...index].find(path => kindOfPath(path) === 'file')
}

/** What holds for an `import` in this Node. */
function importConditions(): ReadonlySet<string> {
  const loadsSync: unknown = Reflect.get(process.features, 'require_module')
  return new Set(['node', 'import', 'node-addons', ...(loadsSync === true ? ['module-sync'] : [])])
}

// ---- Below ----

function kindOfPath(path: string): 'file' | 'folder' | 'absent' {
  try {
    return statSync(path).isDirectory() ? 'folder' : 'file'
  } catch {
    return 'absent'
  }
}

function ofNode(name: string): string {
  return `${name} is a module of Node itself, not a processor`
}

function notFound(what: string, file: string, cause?: unknown): ClsConsumerError {
  return new ClsConsumerError('PROCESSOR_NOT_FOUND', `the processor cannot be found: ${what}`, { file, cause })
}
