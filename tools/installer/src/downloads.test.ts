import { describe, expect, test } from 'vitest'

import { createFakeMachine, type FakeMachine } from './fake-machine.testing.ts'
import { testVersions } from './fake-releases.testing.ts'

const PIPEOPS_TOKEN = 'pat_for-the-installer.0123456789'
const charts = 'istio-release.storage.googleapis.com_charts'
const github = 'github.com'

const downloads = [
  { what: 'k3s', file: `${github}_k3s-io_k3s_releases_download_v0.0.0%2Bk3s1_k3s` },
  {
    what: 'the installer of k3s',
    file: 'raw.githubusercontent.com_k3s-io_k3s_v0.0.0%2Bk3s1_install.sh',
  },
  { what: 'helm', file: 'get.helm.sh_helm-v0.0.0-linux-amd64.tar.gz' },
  {
    what: 'the Gateway API',
    file: `${github}_kubernetes-sigs_gateway-api_releases_download_v0.0.0_experimental-install.yaml`,
  },
  { what: 'Istio’s definitions', file: `${charts}_base-0.0.0.tgz` },
  { what: 'Istio', file: `${charts}_istiod-0.0.0.tgz` },
]

async function tamper(machine: FakeMachine, file: string): Promise<void> {
  await machine.write(`mirror/${file}`, 'something else')
}

describe.concurrent('a download', () => {
  test.for(downloads)('with a wrong checksum is not used: $what', async ({ file }) => {
    await using machine = await createFakeMachine()
    await tamper(machine, file)

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN })

    expect(code).toBe(1)
    expect(stderr.match(/^error:/gm), 'one error, one explanation').toHaveLength(1)
    expect(stderr).toMatch(
      /checksum of a download is wrong: expected \w{64} .* got \w{64}\n {2}where: https:/,
    )
    expect((await machine.read('calls')).trim().split('\n').at(-1), 'nothing ran after it').toMatch(
      /^curl/,
    )
    expect((await machine.contents()).join('\n')).not.toMatch(/\.part|tmp\./)
  })

  test('of a version this script knows is checked against its own checksum, whatever the publisher says', async () => {
    await using machine = await createFakeMachine()
    const own = 'get.helm.sh_helm-v4.3.0-linux-amd64.tar.gz'
    await tamper(machine, own)
    const digest = '4bc453b53cb3d914b45f4b250294236adba2c0e09ff6f03793949e7e39fd4cc1'
    await machine.write(`mirror/${own}.sha256sum`, `${digest}  helm-v4.3.0-linux-amd64.tar.gz\n`)

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN, PIPEOPS_HELM_VERSION: '' })

    expect(code).toBe(1)
    expect(stderr).toContain('expected 86584a54def7')
    expect(stderr).toContain('(from this script)')
    expect((await machine.calls()).join('\n')).not.toMatch(/helm.*sha256sum/)
  })

  test('without any checksum is not used', async () => {
    await using machine = await createFakeMachine()

    const { code, stderr } = await machine.run([], {
      PIPEOPS_TOKEN,
      PIPEOPS_GATEWAY_API_SHA256: '',
    })

    expect(code).toBe(1)
    expect(stderr).toContain('no checksum is known for this download')
  })

  test('that cannot be reached names the address', async () => {
    await using machine = await createFakeMachine()

    const { code, stderr } = await machine.run([], {
      PIPEOPS_TOKEN,
      ...testVersions,
      PIPEOPS_K3S_VERSION: 'v9.9.9+k3s1',
    })

    expect(code).toBe(1)
    expect(stderr).toMatch(
      /a download failed\n {2}where: https:\/\/github\.com\/k3s-io\/.*v9\.9\.9%2Bk3s1/,
    )
  })
})
