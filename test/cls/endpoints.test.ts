import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { hostOf, resolveEndpoints } from '../../src/cls/endpoints.ts'
import { ClsConsumerError } from '../../src/errors.ts'

const region = 'ap-guangzhou'

describe('endpoints', () => {
  test('each network has its hosts', () => {
    const of = (network: 'public' | 'intranet' | 'international') => {
      const { controlOrigin, dataOrigin, region: named } = resolveEndpoints({ endpoint: undefined, region, network })
      return [controlOrigin, dataOrigin, named]
    }
    assert.deepEqual(of('public'), [
      'https://cls.ap-guangzhou.tencentcloudapi.com',
      'https://ap-guangzhou.cls.tencentcs.com',
      region
    ])
    assert.deepEqual(of('intranet'), [
      'https://cls.internal.tencentcloudapi.com',
      'https://ap-guangzhou.cls.tencentyun.com',
      region
    ])
    assert.deepEqual(of('international'), [
      'https://cls.intl.tencentcloudapi.com',
      'https://ap-guangzhou.cls.tencentcs.com',
      region
    ])
  })

  test('an endpoint in full serves both planes, with the region where it is known', () => {
    const endpoint = 'http://127.0.0.1:9320/'
    const settings = { endpoint, region: undefined, network: 'public' } as const
    const origin = 'http://127.0.0.1:9320'
    assert.deepEqual(resolveEndpoints(settings), { controlOrigin: origin, dataOrigin: origin, region: undefined })
    assert.equal(resolveEndpoints({ ...settings, region }).region, region)
  })

  test('I9: user and password in an endpoint go nowhere', () => {
    const settings = { endpoint: 'https://user:password@h.example', region, network: 'public' } as const
    assert.equal(resolveEndpoints(settings).controlOrigin, 'https://h.example')
    assert.throws(
      () => resolveEndpoints({ ...settings, endpoint: 'ftp://user:password@h' }),
      (error: unknown) => error instanceof ClsConsumerError && !error.message.includes('password')
    )
  })

  test('the host to sign has a port only where it is not the scheme’s own', () => {
    assert.equal(hostOf('http://127.0.0.1:9320'), '127.0.0.1:9320')
    assert.equal(hostOf('https://h.example:443'), 'h.example')
  })

  test('without endpoint and region there is no host to guess', () => {
    assert.throws(
      () => resolveEndpoints({ endpoint: undefined, region: undefined, network: 'public' }),
      (error: unknown) => error instanceof ClsConsumerError && error.code === 'OPTIONS_INVALID'
    )
  })
})
