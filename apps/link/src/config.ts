import { homedir } from 'node:os'
import { join } from 'node:path'

import { KubeConfigFields } from '@agent/kube'
import * as z from 'zod'

/** A user without HOME and without a line in /etc/passwd, as containers have, has none; whoever needs it names a file. */
function home(): string {
  try {
    return homedir()
  } catch {
    return '/'
  }
}

/** The link's environment. */
export const Config = z
  .object({
    ...KubeConfigFields,
    PIPEOPS_API_URL: z
      .url({ protocol: /^https?$/ })
      .default('https://api.pipeops.sh')
      .describe('The control plane.'),
    PIPEOPS_TOKEN: z
      .string()
      .optional()
      .describe('Agent token; better given as PIPEOPS_TOKEN_FILE.'),
    PIPEOPS_TOKEN_FILE: z
      .string()
      .optional()
      .describe('File with the agent token; read again at each connection.'),
    PIPEOPS_CLUSTER_NAME: z
      .string()
      .max(63)
      .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, {
        error: 'must be lower case letters, digits, - and .',
      })
      .describe('The cluster’s name at the control plane.'),
    PIPEOPS_AGENT_ID: z
      .string()
      .max(128)
      .optional()
      .describe('Agent id; default kept state, else a new one.'),
    PIPEOPS_CA_FILE: z
      .string()
      .optional()
      .describe('PEM file of certificate authorities to trust besides the system’s.'),
    PIPEOPS_STATE: z
      .enum(['auto', 'kubernetes', 'file'])
      .default('auto')
      .describe('Where identity is kept; auto is kubernetes inside a cluster and file outside.'),
    PIPEOPS_STATE_NAMESPACE: z
      .string()
      .default('pipeops-system')
      .describe('Namespace of the state objects.'),
    PIPEOPS_STATE_CONFIGMAP_NAME: z
      .string()
      .default('pipeops-agent-state')
      .describe('ConfigMap with the ids.'),
    PIPEOPS_STATE_SECRET_NAME: z
      .string()
      .default('pipeops-agent-secrets')
      .describe('Secret with material that must stay secret.'),
    PIPEOPS_STATE_FILE: z
      .string()
      .default(() => join(home(), '.local', 'state', 'pipeops-agent', 'state'))
      .describe('Encrypted state file (0600); its key lies beside it.'),
    PIPEOPS_STATE_KEY_FILE: z
      .string()
      .optional()
      .describe('Key of the state file; default STATE_FILE.key.'),
    PIPEOPS_HEARTBEAT_INTERVAL_SECONDS: z.coerce
      .number()
      .min(5)
      .max(30)
      .default(30)
      .describe('Cadence until the control plane says another.'),
  })
  .refine(
    (config) => config.PIPEOPS_TOKEN !== undefined || config.PIPEOPS_TOKEN_FILE !== undefined,
    {
      path: ['PIPEOPS_TOKEN_FILE'],
      error: 'is required (or PIPEOPS_TOKEN)',
      // Also when other settings are wrong: every problem is told at once.
      when: () => true,
    },
  )
export type Config = z.infer<typeof Config>
