import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import official from 'tencentcloud-sdk-nodejs/tencentcloud/common/sign.js'
import { percentEncode, signQ } from '../../src/cls/sign-q.ts'
import { signTc3 } from '../../src/cls/sign-tc3.ts'

interface Vector {
  secretId: string
  secretKey: string
  host: string
  contentType: string
  now: number
  body: string
  method: string
  path: string
  query: Record<string, string>
  headers: Record<string, string>
  enc: 'form' | 'percent'
  expireSeconds: number
  note?: string
  authorization: string
}

const vectors: { tc3: Vector[]; v1: Vector[]; v1Variants: Vector[] } = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/signatures.json', import.meta.url), 'utf8')
)

describe('TC3-HMAC-SHA256', () => {
  for (const [index, { now: nowSeconds, authorization, ...vector }] of vectors.tc3.entries()) {
    test(`reference ${index}: ${vector.host}, ${vector.body.length} characters`, () => {
      assert.equal(signTc3({ ...vector, nowSeconds }), authorization)
      assert.equal(signTc3({ ...vector, body: Buffer.from(vector.body), nowSeconds }), authorization)
    })

    test(`the official client signs the same: ${index}`, () => {
      // It signs the host without its port.
      const host = vector.host.replace(/:\d+$/, '')
      const theirs = official.default.sign3({
        method: vector.method,
        url: `http://${vector.host}/`,
        payload: Buffer.from(vector.body),
        timestamp: nowSeconds,
        service: 'cls',
        secretId: vector.secretId,
        secretKey: vector.secretKey,
        multipart: false,
        boundary: '',
        headers: { 'Content-Type': vector.contentType }
      })
      assert.equal(signTc3({ ...vector, host, nowSeconds }), theirs)
    })
  }

  test('the references cover ports, other alphabets and a year’s end', () => {
    assert.ok(vectors.tc3.length >= 12)
    assert.ok(vectors.tc3.some(({ host }) => host.includes(':')))
    assert.ok(vectors.tc3.some(({ now }) => new Date(now * 1000).toISOString().includes('-12-31T')))
    assert.ok(vectors.tc3.some(({ body }) => /[^ -~]/.test(body)))
  })
})

describe('q-sign-algorithm=sha1', () => {
  for (const [index, { now: nowSeconds, authorization, host, contentType, ...vector }] of vectors.v1.entries()) {
    test(`reference ${index}: ${vector.path}`, () => {
      const headers = { Host: host, 'Content-Type': contentType }
      assert.equal(signQ({ ...vector, headers, nowSeconds }), authorization)
    })
  }
  for (const { now: nowSeconds, authorization, enc: encoding, ...vector } of vectors.v1Variants) {
    test(`reference: ${vector.note}`, () => {
      assert.equal(signQ({ ...vector, nowSeconds, encoding }), authorization)
    })
  }

  test('all but A-Za-z0-9_.-~ is percent-encoded, in upper case', () => {
    assert.equal(percentEncode("aZ09_.-~ *!'()/?日"), 'aZ09_.-~%20%2A%21%27%28%29%2F%3F%E6%97%A5')
  })

  test('I9: neither signature contains the secret key', () => {
    const { secretId, secretKey, ...rest } = { secretId: 'id', secretKey: 'thesecretkey', nowSeconds: 1_700_000_000 }
    const tc3 = signTc3({ secretId, secretKey, host: 'h', contentType: 'c', body: '', ...rest })
    const q = signQ({
      secretId,
      secretKey,
      method: 'POST',
      path: '/',
      query: {},
      headers: {},
      expireSeconds: 1,
      ...rest
    })
    assert.ok(![tc3, q].some(text => text.includes(secretKey)))
  })
})
