/**
 * Loaded before each test file by `test/run.ts`: where a test says how large a list or text may become, fast-check makes
 * them that large. By itself it stays near ten, whatever the test says.
 */
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), defaultSizeToMaxWhenMaxSpecified: true })
