/** What the README shows of `run`, as it is printed. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { failureText } from '../../src/cli/failure-text.ts'
import { runOptions } from '../../src/cli/run.ts'
import { readReadme } from '../support/readme.ts'

const folder = mkdtempSync(join(tmpdir(), 'cls-samples-'))
after(() => rmSync(folder, { recursive: true }))

const KEY = { CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }

/** The one fenced block of the README that begins so, without the line feed at its end. */
function block(language: string, beginning: string): string {
  const fence = `\n\`\`\`${language}\n`
  const found = readReadme()
    .split(fence)
    .slice(1)
    .flatMap(text => text.split('\n```')[0] ?? [])
    .filter(text => text.startsWith(beginning))
  assert.equal(found.length, 1, `${beginning} stands once in the README`)
  return found[0] ?? ''
}

test('the error that the README shows is what is said of such options', () => {
  const lines = [
    '',
    'region: ap-guangzhou',
    'logsetId: l',
    'topicIds: [1e5]',
    'group: error-count',
    'startFrom: begin',
    'treads: 4'
  ]
  writeFileSync(join(folder, 'consumer.yaml'), lines.join('\n'))
  assert.throws(
    () => runOptions({ config: 'consumer.yaml' }, { ...KEY, CLS_PULL_BYTES: '7' }, folder),
    error => {
      assert.equal(failureText(error, false), block('text', 'OPTIONS_INVALID: '))
      return true
    }
  )
})

test('the printed configuration that the README shows is that of its own config file', () => {
  writeFileSync(join(folder, 'consumer.yaml'), block('yaml', '# yaml-language-server'))
  const [command = '', ...shown] = block('text', '$ CLS_THREADS').split('\n')
  assert.equal(command, '$ CLS_THREADS=3 cls-consumer run --config consumer.yaml --poll-interval-ms 500 --print-config')
  const args = { config: 'consumer.yaml', 'poll-interval-ms': '500', 'print-config': true }
  const printed = runOptions(args, { ...KEY, CLS_THREADS: '3' }, folder).config?.split('\n') ?? []
  const gap = shown.indexOf('…')
  assert.deepEqual(printed.slice(0, gap), shown.slice(0, gap))
  const rest = shown.slice(gap + 1)
  assert.ok(rest.length > 0)
  for (const line of rest) assert.ok(printed.includes(line), `${line}\n\n${printed.join('\n')}`)
})

test('the README names every flag that only the command line has', () => {
  for (const flag of ['--config', '--print-config', '--print-results']) assert.ok(readReadme().includes(flag), flag)
})
