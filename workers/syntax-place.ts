/**
 * Where the syntax error of an ES module is.
 *
 * In: the path of a module that did not parse. Out: `path:line`, `sound` where it is rather what the file imports, or
 * `unknown`. The error of an import of an ES module has lost the place, so a second Node is asked, which parses and runs
 * nothing. Must never happen: a thread that waits for that Node without a limit.
 */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'

const CHECK_MS_MAX = 10_000

export async function syntaxPlace(path: string): Promise<string> {
  const source = await readFile(path).catch(() => undefined)
  if (source === undefined) return 'unknown'
  return new Promise(resolve => {
    // This thread's environment, from which the secrets are gone (I9).
    const options = { env: process.env, timeout: CHECK_MS_MAX, windowsHide: true }
    // Not by its path: where only the syntax tells that a .js file is an ES module, `--check` finds nothing wrong.
    const check = execFile(process.execPath, ['--input-type=module', '--check', '-'], options, (error, _, stderr) => {
      const line = /^\[stdin\](:\d+)$/m.exec(stderr)?.[1]
      if (line !== undefined) resolve(`${path}${line}`)
      else resolve(error === null ? 'sound' : 'unknown')
    })
    // A Node that ends before it has read all has said so by its exit.
    check.stdin?.on('error', () => undefined)
    check.stdin?.end(source)
  })
}
