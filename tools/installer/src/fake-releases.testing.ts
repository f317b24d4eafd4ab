import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const version = 'v0.0.0'

/** Versions this script has no checksum for, so that it asks the publishers (the mirror). */
export const testVersions = {
  PIPEOPS_K3S_VERSION: 'v0.0.0+k3s1',
  PIPEOPS_K3D_VERSION: version,
  PIPEOPS_KIND_VERSION: version,
  PIPEOPS_MINIKUBE_VERSION: version,
  PIPEOPS_KUBECTL_VERSION: version,
  PIPEOPS_HELM_VERSION: version,
  PIPEOPS_GATEWAY_API_VERSION: version,
  PIPEOPS_ISTIO_VERSION: '0.0.0',
}

const github = 'github.com'
const charts = 'istio-release.storage.googleapis.com/charts'
const definition = 'customresourcedefinition.apiextensions.k8s.io'

const gatewayApi = `# defines ${definition}/gateways.gateway.networking.k8s.io
# defines ${definition}/gatewayclasses.gateway.networking.k8s.io
# defines ${definition}/tcproutes.gateway.networking.k8s.io
# defines validatingadmissionpolicy.admissionregistration.k8s.io/safe-upgrades.gateway.networking.k8s.io
`
const istioBase = `# defines ${definition}/virtualservices.networking.istio.io
# defines serviceaccount/istio-reader-service-account
`

/** Writes every download and the checksum its publisher keeps beside it; returns that of the one nobody publishes. */
export async function mirrorReleases(mirror: string, fakes: string): Promise<string> {
  await mkdir(mirror)
  const put = (address: string, content: string | Buffer) =>
    writeFile(join(mirror, address.replaceAll('/', '_')), content)
  const program = (name: string) => readFile(join(fakes, name))

  const kubectl = `dl.k8s.io/release/${version}/bin/linux/amd64/kubectl`
  await put(kubectl, await program('kubectl'))
  await put(`${kubectl}.sha256`, sha256(await program('kubectl')))

  const helm = `get.helm.sh/helm-${version}-linux-amd64.tar.gz`
  const archive = await helmArchive(mirror, fakes)
  await put(helm, archive)
  await put(`${helm}.sha256sum`, `${sha256(archive)}  helm-${version}-linux-amd64.tar.gz\n`)

  const k3d = `${github}/k3d-io/k3d/releases/download/${version}`
  await put(`${k3d}/k3d-linux-amd64`, await program('k3d'))
  const k3dSum = sha256(await program('k3d'))
  const k3dSums = `${sha256('other')}  _dist/k3d-darwin-amd64\n${k3dSum}  _dist/k3d-linux-amd64\n`
  await put(`${k3d}/checksums.txt`, k3dSums)

  const kind = `${github}/kubernetes-sigs/kind/releases/download/${version}/kind-linux-amd64`
  await put(kind, await program('kind'))
  await put(`${kind}.sha256sum`, `${sha256(await program('kind'))}  kind-linux-amd64\n`)

  const minikube = `${github}/kubernetes/minikube/releases/download/${version}/minikube-linux-amd64`
  await put(minikube, await program('minikube'))
  await put(`${minikube}.sha256`, `${sha256(await program('minikube'))}\n`)

  const k3s = `${github}/k3s-io/k3s/releases/download/v0.0.0%2Bk3s1`
  await put(`${k3s}/k3s`, 'k3s')
  await put(
    `${k3s}/sha256sum-amd64.txt`,
    `${sha256('images')}  k3s-airgap.tar\n${sha256('k3s')}  k3s\n`,
  )
  const k3sInstall = 'raw.githubusercontent.com/k3s-io/k3s/v0.0.0%2Bk3s1/install.sh'
  await put(k3sInstall, await program('k3s-install.sh'))
  await put(`${k3sInstall}.sha256sum`, `${sha256(await program('k3s-install.sh'))}  install.sh\n`)

  const gateway = `kubernetes-sigs/gateway-api/releases/download/${version}/experimental-install.yaml`
  await put(`${github}/${gateway}`, gatewayApi)

  await put(`${charts}/base-0.0.0.tgz`, istioBase)
  await put(`${charts}/istiod-0.0.0.tgz`, 'istiod')
  const entry = (name: string, content: string) =>
    `  - apiVersion: v2\n    digest: ${sha256(content)}\n    urls:\n    - https://${charts}/${name}-0.0.0.tgz\n`
  const newer = `  - apiVersion: v2\n    digest: ${sha256('newer')}\n    urls:\n    - https://${charts}/base-0.0.1.tgz\n`
  await put(
    `${charts}/index.yaml`,
    `entries:\n  base:\n${newer}${entry('base', istioBase)}  istiod:\n${entry('istiod', 'istiod')}`,
  )
  return sha256(gatewayApi)
}

export function sha256(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}

async function helmArchive(mirror: string, fakes: string): Promise<Buffer> {
  const dir = join(mirror, 'helm')
  await mkdir(join(dir, 'linux-amd64'), { recursive: true })
  await cp(join(fakes, 'helm'), join(dir, 'linux-amd64/helm'))
  await promisify(execFile)('tar', ['-czf', join(dir, 'helm.tar.gz'), '-C', dir, 'linux-amd64'])
  const archive = await readFile(join(dir, 'helm.tar.gz'))
  await rm(dir, { recursive: true })
  return archive
}
