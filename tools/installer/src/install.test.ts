import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { createFakeMachine } from './fake-machine.testing.ts'
import { run, scriptPath } from './script.testing.ts'

const PIPEOPS_TOKEN = 'pat_for-the-installer.0123456789'
const desk = { root: false, docker: true }

describe.concurrent('installing', () => {
  test('on a bare server makes k3s and puts the Gateway API, Istio and the agent into it', async () => {
    await using machine = await createFakeMachine()

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN, CLUSTER_NAME: 'shop' })

    expect(stderr).toBe('')
    expect(code).toBe(0)
    const calls = (await machine.calls()).filter((call) => /^k3s|template|upgrade|apply/.test(call))
    expect(calls.map((call) => call.replaceAll(/\/\S*\//g, ''))).toEqual([
      'k3s-install.sh server --write-kubeconfig-mode=600 --disable=traefik',
      'kubectl --context default apply --server-side -f gateway-api.yaml',
      'helm --kube-context default template istio-base istio-base.tgz --namespace istio-system --include-crds',
      'helm --kube-context default upgrade --install istio-base istio-base.tgz --namespace istio-system --wait --timeout 5m',
      'helm --kube-context default upgrade --install istiod istiod.tgz --namespace istio-system --wait --timeout 10m --set-string pilot.env.PILOT_ENABLE_ALPHA_GATEWAY_API=true',
      'kubectl --context default apply --server-side --force-conflicts --field-manager=pipeops-installer -f -',
      'helm --kube-context default upgrade --install pipeops-agent chart --namespace pipeops-system --wait --timeout 5m --reset-then-reuse-values --set-string agent.cluster.name=shop --set agent.autoInstallComponents=false --set-string agent.pipeops.existingSecret=pipeops-agent-token',
    ])
  })

  test.for(['k3d', 'kind', 'minikube'])(
    'makes a %s cluster and leaves the user’s kubeconfig alone',
    async (type) => {
      await using machine = await createFakeMachine(desk)

      const { code, stdout } = await machine.run([], { PIPEOPS_TOKEN, CLUSTER_TYPE: type })

      expect(code).toBe(0)
      expect(stdout).toContain('export KUBECONFIG=')
      const kubeconfigs = new Set((await machine.read('environments')).match(/^KUBECONFIG=.*$/gm))
      expect([...kubeconfigs]).toEqual([
        `KUBECONFIG=${machine.dir}/home/.pipeops-installer/kubeconfig`,
      ])
      expect(
        (await machine.calls()).some((call) => call.includes('upgrade --install pipeops-agent')),
      ).toBe(true)
    },
  )

  test('gives istiod less where memory is scarce, and leaves Istio out when asked', async () => {
    await using scarce = await createFakeMachine({ memoryMb: 2000 })
    await using without = await createFakeMachine()

    await scarce.run([], { PIPEOPS_TOKEN })
    await without.run([], { PIPEOPS_TOKEN, INSTALL_GATEWAY_API: 'false' })

    const scarceCalls = (await scarce.calls()).join('\n')
    const withoutCalls = (await without.calls()).join('\n')
    expect(scarceCalls).toContain('--set pilot.resources.requests.memory=256Mi')
    expect(withoutCalls).not.toMatch(/istio|gateway|--disable=traefik/)
    expect(withoutCalls).toContain('upgrade --install pipeops-agent')
  })

  test('a second run brings the agent up to date without a token, under its old name, and adds nothing', async () => {
    await using machine = await createFakeMachine()
    await machine.run([], { PIPEOPS_TOKEN, PIPEOPS_CLUSTER_NAME: 'shop' })
    const [contents, record] = [await machine.contents(), await machine.read(recordPath)]
    await machine.forgetCalls()

    const { code } = await machine.run([])

    expect(code).toBe(0)
    expect((await machine.calls()).at(-1)).toMatch(
      /upgrade --install pipeops-agent .*--reset-then-reuse-values .*agent\.cluster\.name=shop /,
    )
    expect(await machine.contents()).toEqual(contents)
    expect(await machine.read(recordPath)).toBe(record)
  })

  test('keeps its own files to their owner, and leaves the cluster’s as they would be', async () => {
    await using machine = await createFakeMachine()

    await machine.run([], { PIPEOPS_TOKEN })

    const [dir, record] = await Promise.all(
      [join(recordPath, '..'), recordPath].map((path) => stat(join(machine.dir, path))),
    )
    expect((dir?.mode ?? 0) & 0o77).toBe(0)
    expect((record?.mode ?? 0) & 0o77).toBe(0)
    expect(Number.parseInt(await machine.read('umask'), 8)).toBe(process.umask())
  })

  test('a program that fails is explained: what stopped, and the two ways on', async () => {
    await using machine = await createFakeMachine()

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN, FAKE_FAIL_AT: '2' })

    expect(code).toBe(1)
    expect(stderr).toMatch(
      /error: stopped: installing the Gateway API[^]*run this again[^]*uninstall/,
    )
  })
})

describe.concurrent('an existing cluster', () => {
  const tools = ['kubectl', 'helm']

  test('is never used without a terminal unless named', async () => {
    await using machine = await createFakeMachine({ tools, context: 'prod' })
    const before = await machine.contents()

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN })

    expect(code).toBe(2)
    expect(stderr).toMatch(/error: .*context 'prod'[^]*where: [^]*do: +say it: --context 'prod'/)
    expect((await machine.calls()).filter((call) => !/config|--raw|version/.test(call))).toEqual([])
    expect(await machine.contents()).toEqual(before)
  })

  test('is used when named, and what it has stays as it is', async () => {
    await using machine = await createFakeMachine({ tools, context: 'prod' })
    await machine.write('clusters/prod/definitions/gateways.gateway.networking.k8s.io', '')
    await machine.write('clusters/prod/definitions/gateways.networking.istio.io', '')

    const { code } = await machine.run(['--context', 'prod'], { PIPEOPS_TOKEN })

    expect(code).toBe(0)
    const calls = (await machine.calls()).join('\n')
    expect(calls).not.toMatch(/istiod|gateway-api|k3s/)
    expect(calls).toContain('--kube-context prod upgrade --install pipeops-agent')
  })

  test('with somebody’s agent in it is left alone', async () => {
    await using machine = await createFakeMachine({ tools, context: 'prod' })
    await machine.write('clusters/prod/namespaces/pipeops-system/release-pipeops-agent', '')
    const before = await machine.contents()

    const { code, stderr } = await machine.run(['--context', 'prod'], { PIPEOPS_TOKEN })

    expect(code).toBe(2)
    expect(stderr).toContain('this script did not install it')
    expect(await machine.contents()).toEqual(before)
  })

  test('with somebody’s token Secret in it is not overwritten', async () => {
    await using machine = await createFakeMachine({ tools, context: 'prod' })
    const secret = 'clusters/prod/namespaces/pipeops-system/secret-pipeops-agent-token'
    await machine.write(secret, 'theirs')

    const { code, stderr } = await machine.run(['--context', 'prod'], { PIPEOPS_TOKEN })

    expect(code).toBe(2)
    expect(stderr).toMatch(
      /script did not install are in this cluster: secret\/pipeops-agent-token/,
    )
    expect(await machine.read(secret)).toBe('theirs')
  })

  test('of the same name is not taken for one of its own', async () => {
    await using machine = await createFakeMachine({ ...desk, tools: ['kind', 'kubectl', 'helm'] })
    await machine.write('clusters/kind-pipeops/namespaces/default/deployment-shop', '')

    const { code, stderr } = await machine.run(['--new-cluster'], {
      PIPEOPS_TOKEN,
      CLUSTER_TYPE: 'kind',
    })
    const removal = await machine.run(['uninstall', '--yes'])

    expect(code).toBe(1)
    expect(stderr).toContain('this script did not make it')
    expect(removal.stdout).toContain('Nothing to remove')
    expect(await machine.contents()).toContain('kind-pipeops/namespaces/default/deployment-shop')
  })
})

describe.concurrent('a dry run', () => {
  test('prints the plan with every address and checksum source, and changes nothing', async () => {
    await using machine = await createFakeMachine()
    const before = await machine.contents()

    const { code, stdout } = await machine.run(['--dry-run'])

    expect(code).toBe(0)
    expect(stdout).toMatch(
      /create a k3s cluster[^]*checked against https:[^]*fetch helm: https:[^]*install the agent/,
    )
    expect(await machine.contents()).toEqual(before)
    expect((await machine.calls()).filter((call) => !call.startsWith('docker'))).toEqual([])
  })

  test('says what each download is checked against, and what is not checked', async () => {
    await using server = await createFakeMachine()
    await using machine = await createFakeMachine(desk)
    const env = { PIPEOPS_CHART: 'oci://registry.example/agent', INSTALL_MONITORING: 'false' }

    const onServer = await server.run(['--dry-run'], env)
    const inDocker = await machine.run(['--dry-run'], { ...env, CLUSTER_TYPE: 'k3d' })

    for (const name of ['k3s', 'install.sh', 'experimental-install.yaml', 'istiod-0.0.0.tgz']) {
      expect(onServer.stdout).toMatch(new RegExp(`from https:\\S+/${name}, checked against `))
    }
    expect(onServer.stdout).toContain('the chart goes by its tag, not checked')
    expect(inDocker.stdout).toContain('its image goes by its tag, not checked')
  })

  test('names the version of Kubernetes that minikube will run, whatever kubectl’s is', async () => {
    await using machine = await createFakeMachine(desk)

    const { stdout } = await machine.run(['--dry-run'], { CLUSTER_TYPE: 'minikube' })
    await machine.run([], { PIPEOPS_TOKEN, CLUSTER_TYPE: 'minikube' })

    const start = (await machine.calls()).find((call) => call.startsWith('minikube start')) ?? ''
    const [, version = 'none'] = /--kubernetes-version (\S+)/.exec(start) ?? []
    expect(stdout).toContain(`create a minikube cluster, ${version}, `)
    expect(version).not.toBe(machine.env['PIPEOPS_KUBECTL_VERSION'])
  })

  test('shows both plans where it would ask', async () => {
    await using machine = await createFakeMachine({ tools: ['kubectl', 'helm'], context: 'prod' })
    const before = await machine.contents()

    const { code, stdout } = await machine.run(['--dry-run'])

    expect(code).toBe(0)
    expect(stdout).toMatch(
      /if you say yes[^]*use kubectl context 'prod'[^]*if you say no[^]*create a k3s cluster/,
    )
    expect(await machine.contents()).toEqual(before)
  })

  test('checks the default versions against checksums in the script, except the two it cannot know', async () => {
    await using machine = await createFakeMachine(desk)
    const defaults = Object.keys(machine.env).filter((name) => name.endsWith('_VERSION'))
    const env = Object.fromEntries(defaults.map((name) => [name, '']))

    for (const type of ['k3d', 'kind']) {
      const { stdout } = await machine.run(['--dry-run'], { ...env, CLUSTER_TYPE: type })
      const fetches = stdout.split('\n').filter((line) => line.includes('fetch '))
      expect(fetches).toHaveLength(3)
      for (const line of fetches) expect(line).toContain('the checksum in this script')
    }
    const { stdout } = await machine.run(['--dry-run'], { ...env, CLUSTER_TYPE: 'minikube' })
    expect(stdout).toMatch(/fetch minikube: .*checked against https:.*minikube-linux-amd64\.sha256/)
  })
})

test('a script that arrived cut off does nothing', async () => {
  await using machine = await createFakeMachine()
  const whole = await readFile(scriptPath, 'utf8')
  const before = await machine.contents()
  const end = whole.trimEnd().length
  const cuts = [0.3, 0.6, 0.9].map((share) => Math.floor(end * share))
  for (let left = 1; left < 30; left++) cuts.push(end - left)

  for (const cut of cuts) {
    await machine.write('cut.sh', whole.slice(0, cut))
    await run('/bin/sh', [`${machine.dir}/cut.sh`], { env: { ...machine.env, PIPEOPS_TOKEN } })
  }

  expect(await machine.calls()).toEqual([])
  expect(await machine.contents()).toEqual(before)
})

const recordPath = 'root/var/lib/pipeops-installer/record'
