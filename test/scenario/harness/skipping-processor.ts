/**
 * The ledger's processor with a word of its own on what fails: it is skipped, whatever the consumer's option says.
 *
 * In, out: as of the ledger's processor.
 */
import { defineProcessor } from '../../../workers/define-processor.ts'
import ledgerProcessor from './ledger-processor.ts'

export default defineProcessor({ ...ledgerProcessor, onFailure: 'skip' })
