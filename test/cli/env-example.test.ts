/** The `.env` example of the README: every variable, and usable as it stands once the open lines are filled in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseEnv } from 'node:util'
import { runOptions } from '../../src/cli/run.ts'
import { OPTIONS } from '../../src/options.ts'
import { ENV_BEGIN, ENV_END, envExample, withEnvExample } from '../support/env-example.ts'
import { readExamples } from '../support/readme.ts'

const FILLED = {
  CLS_SECRET_ID: 'i',
  CLS_SECRET_KEY: 'k',
  CLS_REGION: 'ap-guangzhou',
  CLS_LOGSET_ID: 'l',
  CLS_TOPIC_IDS: 'a,b',
  CLS_GROUP: 'g',
  CLS_PROCESSOR: './p.mjs'
}

test('every variable stands there once; open are those that must be filled in', () => {
  const names = [...envExample().matchAll(/^(?:# )?(CLS_\w+)=/gm)].map(([, name]) => name)
  const expected = ['CLS_SECRET_ID', 'CLS_SECRET_KEY', 'CLS_TOKEN', 'CLS_CONFIG']
  expected.push(...Object.values(OPTIONS).flatMap(row => ('env' in row && row.env !== undefined ? [row.env] : [])))
  assert.deepEqual(names.toSorted(), expected.toSorted())
  const open = parseEnv(envExample())
  assert.deepEqual(open, Object.fromEntries(Object.keys(FILLED).map(name => [name, ''])))
})

test('filled in it is enough; with the rest uncommented nothing changes', () => {
  const filled = runOptions({}, FILLED, '/folder').settings
  const uncommented = parseEnv(envExample().replace(/^# (CLS_\w+=)/gm, '$1'))
  assert.deepEqual(runOptions({}, { ...uncommented, ...FILLED }, '/folder').settings, filled)
})

test('it goes between its lines of the README, and is not taken for an example that is run', () => {
  const readme = `a\n${ENV_BEGIN}\nold\n${ENV_END}\nz\n`
  const written = withEnvExample(readme)
  assert.equal(written, `a\n${ENV_BEGIN}\n\`\`\`sh\n${envExample()}\`\`\`\n${ENV_END}\nz\n`)
  assert.equal(withEnvExample(written), written)
  assert.deepEqual(readExamples(written), [])
  assert.throws(() => withEnvExample('without'), /lacks the lines/)
})
