import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../support/source.ts'
import { MUTANTS } from './mutants.ts'

test('every mutant still fits its source: what it edits stands there exactly once, and it edits it', () => {
  const unfit = MUTANTS.filter(({ file, from, to }) => {
    const parts = readFileSync(join(ROOT, file), 'utf8').split(from)
    return parts.length !== 2 || from === to
  })
  assert.deepEqual(
    unfit.map(({ name }) => name),
    []
  )
})

test('no two mutants have one name', () => {
  assert.equal(new Set(MUTANTS.map(({ name }) => name)).size, MUTANTS.length)
  assert.ok(MUTANTS.length >= 24)
})
