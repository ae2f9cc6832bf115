import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isRecord, type Json, parseJson } from '../../src/cls/json.ts'
import type { WireRequest } from '../../src/emulator/plane.ts'
import { verifyQSign, verifyTc3 } from '../../src/emulator/signature.ts'
import { at, listAt, refusal, signQ, signTc3, T0, type Tc3Input } from './support.ts'

const FIXTURES = parseJson(readFileSync(new URL('../../../test/fixtures/signatures.json', import.meta.url)).toString())

function textAt(entry: Json, name: string): string {
  const value = at(entry, name)
  assert.equal(typeof value, 'string')
  return String(value)
}

const keyOf = (entry: Json) => ({ secretId: textAt(entry, 'secretId'), secretKey: textAt(entry, 'secretKey') })
const nowMsOf = (entry: Json): number => Number(at(entry, 'now')) * 1000

function tc3Request(entry: Json): WireRequest {
  return {
    method: textAt(entry, 'method'),
    path: textAt(entry, 'path'),
    query: '',
    headers: {
      host: textAt(entry, 'host'),
      'content-type': textAt(entry, 'contentType'),
      'x-tc-timestamp': String(at(entry, 'now')),
      authorization: textAt(entry, 'authorization')
    },
    body: Buffer.from(textAt(entry, 'body')),
    requestId: 'r'
  }
}

/** Percent-encoded with `%20`, and with `+`: the URL's encoding is not the signature's. */
function qRequests(entry: Json): WireRequest[] {
  const query = at(entry, 'query')
  assert.ok(isRecord(entry) && isRecord(query))
  const headers = isRecord(entry.headers)
    ? Object.fromEntries(Object.entries(entry.headers).map(([name, value]) => [name, String(value)]))
    : { host: textAt(entry, 'host'), 'content-type': textAt(entry, 'contentType') }
  const percent = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`)
  const form = percent.map(pair => pair.replaceAll('%20', '+'))
  return [percent, form].map(pairs => ({
    method: textAt(entry, 'method'),
    path: textAt(entry, 'path'),
    query: pairs.join('&'),
    headers: { ...headers, authorization: textAt(entry, 'authorization') },
    body: Buffer.alloc(0),
    requestId: 'r'
  }))
}

for (const [index, entry] of listAt(FIXTURES, 'tc3').entries()) {
  test(`reference signature tc3 ${index} is accepted, and refused with another body or secret`, () => {
    const request = tc3Request(entry)
    const [key, nowMs] = [keyOf(entry), nowMsOf(entry)]
    verifyTc3(request, key, nowMs)
    const failure = refusal('AuthFailure.SignatureFailure')
    assert.throws(() => verifyTc3({ ...request, body: Buffer.from('other') }, key, nowMs), failure)
    assert.throws(() => verifyTc3(request, { ...key, secretKey: `${key.secretKey}x` }, nowMs), failure)
  })
}

for (const name of ['v1', 'v1Variants']) {
  for (const [index, entry] of listAt(FIXTURES, name).entries()) {
    test(`reference signature ${name} ${index} is accepted, and refused on another path or with another secret`, () => {
      const [key, nowMs] = [keyOf(entry), nowMsOf(entry)]
      for (const request of qRequests(entry)) {
        verifyQSign(request, key, nowMs)
        assert.throws(() => verifyQSign({ ...request, path: '/x' }, key, nowMs), refusal('Unauthorized'))
        assert.throws(() => verifyQSign(request, { ...key, secretKey: 'x' }, nowMs), refusal('Unauthorized'))
      }
    })
  }
}

const KEY = { secretId: 'ak/1', secretKey: 'sk' }
const NOW_S = T0 / 1000

function signedTc3(host: string, signed: Partial<Tc3Input>, contentType = 'application/json'): WireRequest {
  const authorization = signTc3({ ...KEY, host, body: '{}', unixSeconds: NOW_S, contentType, ...signed })
  const timestamp = String(signed.unixSeconds ?? NOW_S)
  return {
    method: 'POST',
    path: '/',
    query: '',
    headers: { host, 'content-type': contentType, 'x-tc-timestamp': timestamp, authorization },
    body: Buffer.from('{}'),
    requestId: 'r'
  }
}

test('the host may be sent and signed with its port, without it, or sent with it and signed without', () => {
  verifyTc3(signedTc3('127.0.0.1:9320', {}), KEY, T0)
  verifyTc3(signedTc3('127.0.0.1', {}), KEY, T0)
  verifyTc3(signedTc3('127.0.0.1:9320', { host: '127.0.0.1' }), KEY, T0)
  assert.throws(
    () => verifyTc3(signedTc3('127.0.0.1:9320', { host: 'other' }), KEY, T0),
    refusal('AuthFailure.SignatureFailure')
  )
})

test("the scope may name the service or the endpoint's first label, and nothing else", () => {
  verifyTc3(signedTc3('127.0.0.1:9320', { service: '127' }), KEY, T0)
  verifyTc3(signedTc3('localhost:9320', { service: 'localhost:9320' }), KEY, T0)
  verifyTc3(signedTc3('localhost:9320', { service: 'localhost' }), KEY, T0)
  assert.throws(
    () => verifyTc3(signedTc3('127.0.0.1:9320', { service: 'cvm' }), KEY, T0),
    refusal('AuthFailure.InvalidAuthorization')
  )
})

test('the content type may be signed as sent, in lower case, or without its parameters', () => {
  const sent = 'application/json; charset=UTF-8'
  for (const contentType of [sent, sent.toLowerCase(), 'application/json']) {
    verifyTc3(signedTc3('h', { contentType }, sent), KEY, T0)
  }
  assert.throws(
    () => verifyTc3(signedTc3('h', { contentType: 'text/plain' }, sent), KEY, T0),
    refusal('AuthFailure.SignatureFailure')
  )
})

test('a timestamp is accepted up to 5 minutes off, either way, and expired beyond', () => {
  for (const off of [-300, 300]) verifyTc3(signedTc3('h', { unixSeconds: NOW_S + off }), KEY, T0)
  for (const off of [-301, 301]) {
    assert.throws(
      () => verifyTc3(signedTc3('h', { unixSeconds: NOW_S + off }), KEY, T0),
      refusal('AuthFailure.SignatureExpire', /5 minutes/)
    )
  }
})

test('an unknown id, a missing or malformed header and a wrong date each have their code', () => {
  const request = signedTc3('h', {})
  const withHeader = (name: string, value: string | undefined): WireRequest => ({
    ...request,
    headers: { ...request.headers, [name]: value }
  })
  assert.throws(() => verifyTc3(signedTc3('h', { secretId: 'x' }), KEY, T0), refusal('AuthFailure.SecretIdNotFound'))
  const invalid = refusal('AuthFailure.InvalidAuthorization')
  assert.throws(() => verifyTc3(withHeader('authorization', undefined), KEY, T0), invalid)
  assert.throws(() => verifyTc3(withHeader('authorization', 'SKIP'), KEY, T0), invalid)
  const yesterday = request.headers.authorization?.replace('2023-11-14', '2023-11-13')
  assert.throws(() => verifyTc3(withHeader('authorization', yesterday), KEY, T0), invalid)
  assert.throws(() => verifyTc3(withHeader('x-tc-timestamp', undefined), KEY, T0), refusal('MissingParameter'))
})

function signedQ(unixSeconds: number, host = 'h', signedHost = host): WireRequest {
  const contentType = 'application/json'
  const input = { ...KEY, path: '/pull_log', topicId: 't', host: signedHost, contentType, unixSeconds }
  return {
    method: 'POST',
    path: '/pull_log',
    query: 'topic_id=t',
    headers: { host, 'content-type': contentType, authorization: signQ(input) },
    body: Buffer.alloc(0),
    requestId: 'r'
  }
}

test('on the data plane the host may be signed with or without its port', () => {
  verifyQSign(signedQ(NOW_S, 'h:1'), KEY, T0)
  verifyQSign(signedQ(NOW_S, 'h:1', 'h'), KEY, T0)
  assert.throws(() => verifyQSign(signedQ(NOW_S, 'h:1', 'i'), KEY, T0), refusal('Unauthorized'))
})

test('on the data plane a client 10 minutes off, either way, is refused with 401, and one 2 minutes off is not', () => {
  for (const off of [-120, 0, 120]) verifyQSign(signedQ(NOW_S + off), KEY, T0)
  for (const off of [-600, 600]) {
    assert.throws(() => verifyQSign(signedQ(NOW_S + off), KEY, T0), { code: 'Unauthorized', httpStatus: 401 })
  }
})

test('on the data plane a missing header, a malformed one and an unknown id each have their code', () => {
  const request = signedQ(NOW_S)
  const withAuthorization = (authorization: string | undefined): WireRequest => ({
    ...request,
    headers: { ...request.headers, authorization }
  })
  assert.throws(() => verifyQSign(withAuthorization(undefined), KEY, T0), refusal('MissingAuthorization'))
  assert.throws(() => verifyQSign(withAuthorization('Bearer x'), KEY, T0), refusal('InvalidAuthorization'))
  assert.throws(() => verifyQSign(request, { ...KEY, secretId: 'x' }, T0), refusal('Unauthorized'))
})

const TEMPORARY = { ...KEY, token: 'temporary' }

test('where a token is set, a control request must carry it, by either of its headers', () => {
  const carrying = (headers: Readonly<Record<string, string>>): WireRequest => {
    const request = signedTc3('h', {})
    return { ...request, headers: { ...request.headers, ...headers } }
  }
  verifyTc3(carrying({ 'x-tc-token': 'temporary' }), TEMPORARY, T0)
  verifyTc3(carrying({ 'x-cls-token': 'temporary' }), TEMPORARY, T0)
  verifyTc3(carrying({ 'x-tc-token': 'any' }), KEY, T0)
  const failure = refusal('AuthFailure.TokenFailure')
  for (const headers of [
    {},
    { 'x-tc-token': 'outdated' },
    { 'x-cls-token': 'outdated' },
    { 'x-tc-token': 'outdated', 'x-cls-token': 'temporary' }
  ]) {
    assert.throws(() => verifyTc3(carrying(headers), TEMPORARY, T0), failure, JSON.stringify(headers))
  }
})

test('where a token is set, a data request must carry it', () => {
  const carrying = (headers: Readonly<Record<string, string>>): WireRequest => {
    const request = signedQ(NOW_S)
    return { ...request, headers: { ...request.headers, ...headers } }
  }
  verifyQSign(carrying({ 'x-cls-token': 'temporary' }), TEMPORARY, T0)
  verifyQSign(carrying({ 'x-cls-token': 'any' }), KEY, T0)
  for (const headers of [{}, { 'x-cls-token': 'outdated' }, { 'x-tc-token': 'temporary' }]) {
    const outdated = () => verifyQSign(carrying(headers), TEMPORARY, T0)
    assert.throws(outdated, { code: 'Unauthorized', httpStatus: 401, message: /token/ })
  }
})

test('of temporary credentials that are outdated as a whole it is the token that is told', () => {
  const replaced = { secretId: 'new', secretKey: 'new', token: 'new' }
  const request = signedTc3('h', {})
  const old = { ...request, headers: { ...request.headers, 'x-tc-token': 'temporary' } }
  assert.throws(() => verifyTc3(old, replaced, T0), refusal('AuthFailure.TokenFailure'))
})

test('no refusal tells the secret or the token', () => {
  for (const key of [
    { ...KEY, secretKey: 'other-secret' },
    { ...KEY, token: 'other-secret' }
  ]) {
    for (const verify of [() => verifyTc3(signedTc3('h', {}), key, T0), () => verifyQSign(signedQ(NOW_S), key, T0)]) {
      assert.throws(verify, (error: unknown) => error instanceof Error && !error.message.includes('other-secret'))
    }
  }
})
