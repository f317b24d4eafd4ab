import { expect, test } from 'vitest'
import * as z from 'zod'

import { readConfig, readSidecarConfigs } from './config.ts'

const Own = z.object({
  PIPEOPS_API_URL: z.url(),
  PIPEOPS_CLUSTER_NAME: z.string(),
  PIPEOPS_STATE: z.enum(['auto', 'file']).default('auto'),
})

test('every problem of the common and of the own settings is named at once, and no value', () => {
  const environment = {
    PIPEOPS_LOG_LEVEL: 'secret-loud',
    HEALTH_PORT: '99999',
    PIPEOPS_API_URL: 'secret-nope',
    PIPEOPS_STATE: 'secret-else',
    PIPEOPS_CLUSTER_NAME: '',
  }
  const read = (): unknown => readSidecarConfigs([Own], environment)
  expect(read).toThrow(expect.objectContaining({ code: 'config-invalid' }))
  for (const said of [
    'PIPEOPS_LOG_LEVEL: must be one of debug, info, warn, error',
    'HEALTH_PORT: ',
    'PIPEOPS_API_URL: ',
    'PIPEOPS_STATE: must be one of auto, file',
    'PIPEOPS_CLUSTER_NAME: is required',
  ]) {
    expect(read).toThrow(said)
  }
  expect(read).not.toThrow(/secret|99999/)
})

test('settings that are right come back parsed, with defaults', () => {
  const environment = { PIPEOPS_API_URL: 'https://x', PIPEOPS_CLUSTER_NAME: 'c', HEALTH_PORT: '0' }
  expect(readSidecarConfigs([Own], environment)[0]).toMatchObject({
    PIPEOPS_STATE: 'auto',
    PIPEOPS_LOG_LEVEL: 'info',
    HEALTH_PORT: 0,
  })
  expect(readConfig(Own, environment)).not.toHaveProperty('HEALTH_PORT')
})
