/**
 * What helps where an ES module was taken for CommonJS: the commonest mistake with a processor, since `npm init` writes
 * `"type": "commonjs"`.
 *
 * In: the file that did not parse, what its parsing threw. Out: the cure, with the name to give the file and the
 * package.json that decides; or undefined, where the error is of another kind. Must never happen: advice to change a
 * package that somebody else has installed.
 */
import { access } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'

/**
 * Node tells this apart by nothing but these words of its engine, and goes by them itself. `import` and `import.meta`
 * have the first ones.
 */
const ES_MODULE_WORDS = /outside a module$|^Unexpected token 'export'$/

/** Of an ES module, whatever any package.json says. */
const SURE_ENDINGS = { '.js': '.mjs', '.cjs': '.mjs', '.ts': '.mts', '.cts': '.mts' } as const satisfies Record<
  string,
  string
>

export async function esModuleCure(file: string, error: SyntaxError): Promise<string | undefined> {
  if (!ES_MODULE_WORDS.test(error.message)) return undefined
  const what = 'it is an ES module, and Node takes it for CommonJS'
  if (file.includes(`${sep}node_modules${sep}`)) return `${what}: its package lacks "type": "module"`
  for (const [ending, sure] of Object.entries(SURE_ENDINGS)) {
    if (!file.endsWith(ending)) continue
    const name = `${what}: name it ${basename(file, ending)}${sure}`
    // Of these two the ending alone decides.
    if (ending === '.cjs' || ending === '.cts') return name
    return `${name}, or set "type": "module" in ${(await nearestPackage(file)) ?? 'a package.json beside it'}`
  }
  return undefined
}

/** The package.json by which Node judges the file, if there is one. */
async function nearestPackage(file: string): Promise<string | undefined> {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const found = join(folder, 'package.json')
    if (await exists(found)) return found
    if (folder === dirname(folder)) return undefined
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
