/**
 * The service's official API client, as it comes from npm, pointed at an emulator.
 *
 * In: an emulator's identity. Out: the typed client for the log service; answers without their request ids. Only options
 * that the client documents are set: it runs unchanged.
 */
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { cls } from 'tencentcloud-sdk-nodejs/tencentcloud/services/cls/index.js'
import type { EmulatorHandle } from '../../src/emulator/start.ts'

export type Sdk = InstanceType<typeof cls.v20201016.Client>

export type Identity = Pick<EmulatorHandle, 'endpoint' | 'region' | 'secretId' | 'secretKey'> & {
  readonly token?: string
}

export function sdkOf({ endpoint, region, secretId, secretKey, token }: Identity): Sdk {
  return new cls.v20201016.Client({
    credential: { secretId, secretKey, ...(token === undefined ? {} : { token }) },
    region,
    profile: {
      language: 'zh-CN',
      httpProfile: {
        endpoint: new URL(endpoint).host,
        protocol: 'http://',
        reqTimeout: 10,
        // An agent of its own: the client would otherwise take a proxy that the environment names.
        agent: new Agent()
      }
    }
  })
}

const seenRequestIds = new Set<string>()

/** What an answer says beside its request id, which must be there and never have come before. */
export function fieldsOf<A extends { RequestId?: string }>({ RequestId = '', ...fields }: A): Omit<A, 'RequestId'> {
  assert.match(RequestId, /\S/)
  assert.ok(!seenRequestIds.has(RequestId), 'a request id came twice')
  seenRequestIds.add(RequestId)
  return fields
}
