/**
 * The access key, from the environment.
 *
 * In: the environment. Out: the key, and which of its variables are set or not. There is no other way to write it down:
 * a process list shows flags to everyone, and files are copied (I9).
 */
import type { Env } from './option-sources.ts'

/** Undefined unless both of its parts are set. */
export function credentialsFrom(env: Env): { secretId: string; secretKey: string; token?: string } | undefined {
  const { CLS_SECRET_ID: secretId = '', CLS_SECRET_KEY: secretKey = '', CLS_TOKEN: token = '' } = env
  if (secretId === '' || secretKey === '') return undefined
  return { secretId, secretKey, ...(token === '' ? {} : { token }) }
}

/** Which of the variables that the access key needs are not set. */
export function unsetCredentials(env: Env): string[] {
  return ['CLS_SECRET_ID', 'CLS_SECRET_KEY'].filter(variable => (env[variable] ?? '') === '')
}

/** Which of the variables of the access key are set. */
export function credentialVariables(env: Env): string[] {
  return ['CLS_SECRET_ID', 'CLS_SECRET_KEY', 'CLS_TOKEN'].filter(variable => (env[variable] ?? '') !== '')
}
