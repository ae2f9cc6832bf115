/**
 * Shows that the simulation convicts: breaks the real source in one place at a time, and names what notices.
 *
 *   npm run mutants                       all of `mutants.ts`
 *   npm run mutants -- lease --seeds 50   those whose name contains `lease`, with fewer seeds
 *
 * In: the table, and the tree it is run from. Out: for each mutant the seed and the invariant; 1 where one survives. It
 * works on a copy: the tree is never touched.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../support/source.ts'
import { MUTANTS, type Mutant } from './mutants.ts'

/** Before this many milliseconds, that one seed hangs is noticed by nobody else. */
const RUN_MS_MAX = 300_000
const COPIED = ['src', 'workers', 'test/simulation', 'test/fuzz', 'proto', 'package.json', 'tsconfig.json']
/** What the compiler begins with: the simulation, its processes, and the module that its threads load. */
const ENTRIES = ['main', 'player', 'processor'].map(name => `test/simulation/${name}.ts`)

const { values, positionals } = parseArgs({
  options: { seeds: { type: 'string', default: '2000' } },
  allowPositionals: true
})

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** A tree of its own, with everything but what is built. */
function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), 'cls-mutants-'))
  for (const path of COPIED) cpSync(join(ROOT, path), join(tree, path), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'))
  const config = {
    extends: './tsconfig.json',
    files: ENTRIES,
    include: [],
    compilerOptions: { declaration: false, sourceMap: false }
  }
  writeFileSync(join(tree, 'tsconfig.mutants.json'), JSON.stringify(config))
  // Beside the compiled code that runs this.
  mkdirSync(join(tree, 'dist/workers/kernel'), { recursive: true })
  cpSync(new URL('../../workers/kernel/kernel.wasm', import.meta.url), join(tree, 'dist/workers/kernel/kernel.wasm'))
  return tree
}

/** Types do not matter to a mutant, so that what the compiler says of them is not looked at. */
function compile(tree: string): void {
  const compiler = join(ROOT, 'node_modules/.bin/tsc')
  spawnSync(compiler, ['-p', 'tsconfig.mutants.json'], { cwd: tree, stdio: 'ignore', timeout: RUN_MS_MAX })
}

/** What notices the mutant; undefined where nothing does. */
function convict(tree: string, { file, from, to }: Mutant): string | undefined {
  const path = join(tree, file)
  const source = readFileSync(path, 'utf8')
  assert.equal(source.split(from).length, 2, `${file} does not have what is to be edited exactly once:\n${from}`)
  writeFileSync(
    path,
    source.replace(from, () => to)
  )
  try {
    compile(tree)
    return simulate(tree)
  } finally {
    writeFileSync(path, source)
  }
}

function simulate(tree: string): string | undefined {
  const command = ['dist/test/simulation/main.js', '--until-broken', '--seeds', values.seeds]
  const run = spawnSync(process.execPath, command, { cwd: tree, encoding: 'utf8', timeout: RUN_MS_MAX })
  if (run.error !== undefined) return `no end within ${RUN_MS_MAX} ms`
  const found = run.stdout.split('\n').find(line => line.startsWith('seed '))
  assert.ok(found !== undefined || run.status === 0, run.stderr)
  return found
}

const wanted = MUTANTS.filter(({ name }) => positionals.length === 0 || positionals.some(part => name.includes(part)))
const tree = copyTree()
let survivorCount = 0
try {
  compile(tree)
  assert.equal(simulate(tree), undefined, 'what is not broken is acquitted')
  for (const mutant of wanted) {
    const verdict = convict(tree, mutant)
    if (verdict === undefined) survivorCount += 1
    print(
      `${verdict === undefined ? 'SURVIVES' : 'caught  '}  ${mutant.name}${verdict === undefined ? '' : `\n            ${verdict}`}`
    )
  }
} finally {
  rmSync(tree, { recursive: true })
}
print(`${wanted.length} mutants, ${survivorCount} survive`)
process.exitCode = wanted.length > 0 && survivorCount === 0 ? 0 : 1
