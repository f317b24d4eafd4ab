import { describe, expect, test } from 'vitest'

import { createFakeMachine } from './fake-machine.testing.ts'

const PIPEOPS_TOKEN = 'pat_for-the-installer.0123456789'
const inProd = { tools: ['kubectl', 'helm'], context: 'prod' }
const install = ['--context', 'prod']
const prod = 'clusters/prod'
const system = `${prod}/namespaces/istio-system`
const agentSystem = `${prod}/namespaces/pipeops-system`
const recordPath = 'root/var/lib/pipeops-installer/record'

describe.concurrent('what others have in the cluster', () => {
  test.for([
    { kind: 'ConfigMap', file: 'configmap-pipeops-agent-state', shown: 'configmap/' },
    { kind: 'Secret', file: 'secret-pipeops-agent-secrets', shown: 'secret/' },
    { kind: 'Deployment', file: 'deployment-pipeops-agent', shown: 'deployment.apps/' },
    { kind: 'ServiceAccount', file: 'serviceaccount-pipeops-agent', shown: 'serviceaccount/' },
  ])(
    'the $kind of an agent that was not installed with Helm: refused before anything is made, and still there after an uninstall',
    async ({ file, shown }) => {
      await using machine = await createFakeMachine(inProd)
      await machine.write(`${agentSystem}/${file}`, 'theirs')
      const before = await machine.contents()

      const { code, stderr } = await machine.run(install, { PIPEOPS_TOKEN })
      const removal = await machine.run(['uninstall', '--yes'])

      expect(code).toBe(2)
      expect(stderr).toContain(`${shown}${file.slice(file.indexOf('-') + 1)}`)
      expect(stderr).toMatch(/where: namespace pipeops-system\n {2}do: .*kubectl delete -n/)
      expect(removal.stdout).toContain('Nothing to remove')
      expect(await machine.contents()).toEqual(before)
      expect(await machine.read(`${agentSystem}/${file}`)).toBe('theirs')
    },
  )

  test('things in istio-system whose names begin with istio keep the namespace, and are named', async () => {
    await using machine = await createFakeMachine(inProd)
    await machine.run(install, { PIPEOPS_TOKEN })
    const theirs = ['secret-istio-ingressgateway-certs', 'configmap-istio-my-settings']
    for (const file of theirs) await machine.write(`${system}/${file}`, 'theirs')

    const { code, stderr } = await machine.run(['uninstall', '--yes'])

    expect(code).toBe(3)
    expect(stderr).toMatch(
      /istio-system stays: it holds .*configmap\/istio-my-settings secret\/istio-ingressgateway-certs/,
    )
    for (const file of theirs) expect(await machine.read(`${system}/${file}`)).toBe('theirs')

    await machine.remove(...theirs.map((file) => `${system}/${file}`))
    expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ code: 0, stderr: '' })
    expect(await machine.contents()).not.toContain('prod/namespaces/istio-system')
  })

  test('a gateway class of Istio’s controller that istiod did not make stays, and so does its definition', async () => {
    await using machine = await createFakeMachine(inProd)
    await machine.run(install, { PIPEOPS_TOKEN })
    await machine.write(`${prod}/classes/internal`, 'istio.io/gateway-controller\n')
    await machine.write(`${prod}/classes/istio-remote`, 'example.com/controller\n')

    const { code, stderr } = await machine.run(['uninstall', '--yes'])

    expect(code).toBe(3)
    expect(stderr).toMatch(/gatewayclasses\S* stays: there are objects .*\/internal/)
    expect(classesIn(await machine.contents())).toEqual(['internal', 'istio-remote'])
  })

  test('a gateway class that was there first stays, even under a name that istiod uses', async () => {
    await using machine = await createFakeMachine(inProd)
    for (const name of ['gateways', 'gatewayclasses']) {
      await machine.write(`${prod}/definitions/${name}.gateway.networking.k8s.io`, '')
    }
    await machine.write(`${prod}/classes/istio`, 'istio.io/gateway-controller\n')
    const before = await machine.contents()
    await machine.run(install, { PIPEOPS_TOKEN })
    expect(classesIn(await machine.contents())).toContain('istio-waypoint')

    const { code, stderr } = await machine.run(['uninstall', '--yes'])

    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(await machine.contents()).toEqual(before)
  })

  test('a second istiod keeps its certificates, gateway classes, webhook and definitions until it is gone', async () => {
    await using machine = await createFakeMachine(inProd)
    await machine.run(install, { PIPEOPS_TOKEN })
    const second = `${prod}/namespaces/mesh/deployment-istiod-canary`
    await machine.write(second, '')
    await machine.write(`${prod}/namespaces/mesh/configmap-istio-ca-root-cert`, '')

    const { code, stderr } = await machine.run(['uninstall', '--yes'])

    expect(code).toBe(3)
    expect(stderr).toContain('another istiod uses it: mesh/istiod-canary')
    const contents = await machine.contents()
    expect(contents).toContain('prod/namespaces/default/configmap-istio-ca-root-cert')
    expect(contents).toContain('prod/namespaces/mesh/configmap-istio-ca-root-cert')
    expect(contents).toContain('prod/definitions/virtualservices.networking.istio.io')
    expect(classesIn(contents)).toContain('istio')
    expect(contents).toContain('prod/namespaces/istio-system/release-istio-base')
    expect(contents.join('\n')).not.toMatch(/release-istiod|pipeops-system/)
    expect(await machine.read(recordPath)).toContain('copies istio-ca-root-cert')

    await machine.remove(second)
    expect(await machine.run(['uninstall', '--yes'])).toMatchObject({ code: 0 })
    expect((await machine.contents()).join('\n')).not.toMatch(/istio-|istio\.io/)
  })
})

function classesIn(contents: string[]): string[] {
  const prefix = 'prod/classes/'
  return contents.filter((path) => path.startsWith(prefix)).map((path) => path.slice(prefix.length))
}
