import { describe, expect, test } from 'vitest'

import { createFakeMachine, type FakeMachine } from './fake-machine.testing.ts'

const PIPEOPS_TOKEN = 'pat_for-the-installer.0123456789'
const inProd = { tools: ['kubectl', 'helm'], context: 'prod' }
const desk = { root: false, docker: true }
const recordPath = 'root/var/lib/pipeops-installer/record'

const places = [
  { name: 'an existing cluster', options: inProd, args: ['--context', 'prod'], env: {} },
  { name: 'a k3s of its own', options: {}, args: [], env: {} },
  { name: 'a k3d of its own', options: desk, args: [], env: {} },
  { name: 'a kind of its own', options: desk, args: [], env: { CLUSTER_TYPE: 'kind' } },
  { name: 'a minikube of its own', options: desk, args: [], env: { CLUSTER_TYPE: 'minikube' } },
]

async function install(
  machine: FakeMachine,
  args: string[] = [],
  env: Record<string, string> = {},
) {
  return await machine.run(args, { PIPEOPS_TOKEN, ...env })
}

describe.concurrent('uninstalling', () => {
  test.for(places)('leaves nothing behind of $name', async ({ options, args, env }) => {
    await using machine = await createFakeMachine(options)
    const before = await machine.contents()
    await install(machine, args, env)
    expect(await machine.contents()).not.toEqual(before)

    const { code, stderr } = await machine.run(['uninstall', '--yes'])

    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(await machine.contents()).toEqual(before)
  })

  // The record is written first: whichever change was the last one, it is undone.
  test.for(places.slice(0, 2))(
    'after an install that was killed after any change leaves nothing of $name',
    async (place) => {
      const { options, args, env } = place
      for (let killAt = 1; ; killAt++) {
        await using machine = await createFakeMachine(options)
        const before = await machine.contents()
        const { code } = await install(machine, args, { ...env, FAKE_KILL_AT: String(killAt) })
        if (code === 0) {
          expect(killAt, 'every change was the last one once').toBeGreaterThan(6)
          return
        }
        await machine.forgetCalls()

        const removal = await machine.run(['uninstall', '--yes'])

        expect(removal, `killed at change ${killAt}`).toMatchObject({ code: 0, stderr: '' })
        expect(await machine.contents(), `killed at change ${killAt}`).toEqual(before)
      }
    },
  )

  test('that is itself killed after every change ends all the same', async () => {
    await using machine = await createFakeMachine(inProd)
    const before = await machine.contents()
    await install(machine, ['--context', 'prod'])

    let runs = 0
    for (let code: number | null = null; code !== 0 && runs < 30;) {
      await machine.forgetCalls()
      // The first two may be those that were not crossed out yet, made again; the third is new.
      runs += 1
      code = (await machine.run(['uninstall', '--yes'], { FAKE_KILL_AT: '3' })).code
    }

    expect(runs, 'more than a few changes were the last one').toBeGreaterThan(6)
    expect(await machine.contents()).toEqual(before)
  })

  test('never touches what was there before: Gateway API, Istio, kubectl, helm', async () => {
    await using machine = await createFakeMachine(inProd)
    await machine.write('clusters/prod/definitions/gateways.gateway.networking.k8s.io', '')
    await machine.write('clusters/prod/definitions/gateways.networking.istio.io', '')
    await machine.write('clusters/prod/namespaces/istio-system/release-istiod', '')
    await machine.write('clusters/prod/namespaces/default/configmap-istio-ca-root-cert', '')
    const before = await machine.contents()
    await install(machine, ['--context', 'prod'])
    await machine.forgetCalls()

    await machine.run(['uninstall', '--yes'])

    expect(await machine.contents()).toEqual(before)
    expect((await machine.calls()).join('\n')).not.toMatch(/istio|gateway/)
  })

  test('keeps a definition whose objects somebody uses, and a namespace that holds somebody’s things, and says so', async () => {
    await using machine = await createFakeMachine(inProd)
    await install(machine, ['--context', 'prod'])
    const route = 'clusters/prod/objects/tcproutes.gateway.networking.k8s.io'
    await machine.write(route, 'tcproute.gateway.networking.k8s.io/shop\n')
    await machine.write('clusters/prod/namespaces/pipeops-system/deployment-theirs', '')

    const first = await machine.run(['uninstall', '--yes'])

    expect(first.code).toBe(3)
    expect(first.stderr).toMatch(
      /tcproutes\S* stays: there are objects of this kind: tcproute\S*shop/,
    )
    expect(first.stderr).toMatch(/namespace pipeops-system stays: it holds .*deployment\/theirs/)
    const left = (await machine.read(recordPath)).trim().split('\n')
    expect(left).toEqual([
      'cluster existing prod',
      'object customresourcedefinition.apiextensions.k8s.io/tcproutes.gateway.networking.k8s.io',
      'namespace pipeops-system',
    ])

    await machine.remove(route, 'clusters/prod/namespaces/pipeops-system/deployment-theirs')
    expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ code: 0 })
    expect(await machine.contents()).not.toContain('prod/namespaces/pipeops-system')
  })

  test('--keep-state keeps the agent’s identity, and the record for the rest', async () => {
    await using machine = await createFakeMachine(inProd)
    await install(machine, ['--context', 'prod'])

    const { code } = await machine.run(['uninstall', '--yes', '--keep-state'])

    expect(code).toBe(0)
    const contents = await machine.contents()
    expect(contents).toContain('prod/namespaces/pipeops-system/configmap-pipeops-agent-state')
    expect(contents).not.toContain('prod/namespaces/pipeops-system/secret-pipeops-agent-token')
    expect((await machine.calls()).join('\n')).toContain(
      '--reset-then-reuse-values --set agent.state.keep=true',
    )
    expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ code: 0 })
    expect(await machine.contents()).not.toContain('prod/namespaces/pipeops-system')
  })

  test('--keep-cluster empties the cluster it made and can delete it later', async () => {
    await using machine = await createFakeMachine(desk)
    const before = await machine.contents()
    await install(machine)

    const { code } = await machine.run(['uninstall', '--yes', '--keep-cluster'])

    expect(code).toBe(0)
    const contents = await machine.contents()
    expect(contents).toContain('k3d-pipeops')
    expect(contents.join('\n')).not.toMatch(/release-|istio|pipeops-system/)
    expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ code: 0 })
    expect(await machine.contents()).toEqual(before)
  })

  test('--cluster-gone cleans up this machine when the cluster no longer exists', async () => {
    await using machine = await createFakeMachine(inProd)
    const before = await machine.contents()
    await install(machine, ['--context', 'prod'])
    await machine.remove('clusters/prod')

    const refused = await machine.run(['uninstall', '--yes'])
    const { code } = await machine.run(['uninstall', '--yes', '--cluster-gone'])

    expect(refused.code).toBe(3)
    expect(refused.stderr).toContain('the cluster does not answer')
    expect(code).toBe(0)
    expect(await machine.contents()).toEqual(before.filter((path) => !path.startsWith('prod')))
  })

  test('asks first: without a terminal it needs --yes, and --dry-run only tells', async () => {
    await using machine = await createFakeMachine(inProd)
    await install(machine, ['--context', 'prod'])
    const contents = await machine.contents()

    const silent = await machine.run(['uninstall'])
    const dry = await machine.run(['uninstall', '--dry-run'])

    expect(silent.code).toBe(1)
    expect(silent.stderr).toContain('add --yes')
    expect(dry.stdout).toContain('release pipeops-system pipeops-agent')
    expect(await machine.contents()).toEqual(contents)
  })

  test('where nothing was installed says so', async () => {
    await using machine = await createFakeMachine(inProd)

    expect(await machine.run(['uninstall'])).toMatchObject({ code: 0, stdout: /Nothing to remove/ })
  })
})
