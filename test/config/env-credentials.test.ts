/** The access key, from the environment. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { credentialsFrom, credentialVariables, unsetCredentials } from '../../src/config/env-credentials.ts'

test('credentials come from the environment, and only as a pair', () => {
  assert.deepEqual(credentialsFrom({ CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k' }), { secretId: 'i', secretKey: 'k' })
  assert.deepEqual(credentialsFrom({ CLS_SECRET_ID: 'i', CLS_SECRET_KEY: 'k', CLS_TOKEN: 't' }), {
    secretId: 'i',
    secretKey: 'k',
    token: 't'
  })
  assert.equal(credentialsFrom({ CLS_SECRET_ID: 'i' }), undefined)
  assert.equal(credentialsFrom({ CLS_SECRET_ID: 'i', CLS_SECRET_KEY: '' }), undefined)
})

test('which variables of the key are set and which are missing is told; an empty one is not set', () => {
  const env = { CLS_SECRET_ID: 'i', CLS_SECRET_KEY: '', CLS_TOKEN: 't' }
  assert.deepEqual(credentialVariables(env), ['CLS_SECRET_ID', 'CLS_TOKEN'])
  assert.deepEqual(unsetCredentials(env), ['CLS_SECRET_KEY'])
  // A token is not needed.
  assert.deepEqual(unsetCredentials({}), ['CLS_SECRET_ID', 'CLS_SECRET_KEY'])
})
