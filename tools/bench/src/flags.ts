import { parseArgs } from 'node:util'

import type { KubeconfigPair } from './kubeconfig-pair.ts'
import { type ContenderName, contenderNames } from './sample.ts'

/** What the command line asks for. */
export type Flags = {
  only: string[]
  rounds: number
  isQuick: boolean
  contenders: ContenderName[]
  /** Write CPU profiles of the product's processes; what they cost is in the figures. */
  isProfiled: boolean
  /** Where exec is measured instead of on a cluster of our own. */
  pair: KubeconfigPair | undefined
}

/** Says how the command is used. */
export function usage(ids: readonly string[]): string {
  return `npm run bench [-- --only ID,… --rounds N --quick --contenders ${contenderNames.join(',')} --profile]
              [--exec-direct KUBECONFIG --exec-tunnel KUBECONFIG --exec-pod NAMESPACE/POD/CONTAINER]
workloads: ${ids.join(', ')}`
}

/** Reads the command line; an unusable one throws an error that says what is wrong. */
export function readFlags(argv: string[], ids: readonly string[]): Flags {
  const { values } = parseArgs({
    args: argv,
    options: {
      only: { type: 'string' },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      contenders: { type: 'string' },
      profile: { type: 'boolean', default: false },
      'exec-direct': { type: 'string' },
      'exec-tunnel': { type: 'string' },
      'exec-pod': { type: 'string' },
    },
  })
  const only = list(values.only) ?? [...ids]
  const strange = only.filter((id) => !ids.includes(id))
  if (strange.length > 0) throw new Error(`--only: there is no workload ${strange.join(', ')}`)
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50) {
    throw new Error('--rounds: expected a number from 1 to 50')
  }
  const asked = list(values.contenders) ?? [...contenderNames]
  const contenders = contenderNames.filter((name) => asked.includes(name))
  if (contenders.length !== asked.length) {
    throw new Error(`--contenders: expected some of ${contenderNames.join(',')}`)
  }
  const pair = readPair(values['exec-direct'], values['exec-tunnel'], values['exec-pod'])
  return { only, rounds, isQuick: values.quick, contenders, isProfiled: values.profile, pair }
}

function readPair(
  direct: string | undefined,
  tunnel: string | undefined,
  pod: string | undefined,
): KubeconfigPair | undefined {
  if (direct === undefined && tunnel === undefined && pod === undefined) return undefined
  const [namespace, name, container] = pod?.split('/') ?? []
  if (!direct || !tunnel || !namespace || !name || !container) {
    throw new Error(
      '--exec-direct, --exec-tunnel and --exec-pod NAMESPACE/POD/CONTAINER belong together',
    )
  }
  return { direct, tunnel, pod: { namespace, name, container } }
}

function list(text: string | undefined): string[] | undefined {
  return text
    ?.split(',')
    .map((each) => each.trim())
    .filter(Boolean)
}
