import 'reflect-metadata'
import { createPrivateKey, webcrypto, X509Certificate as Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'

import { AgentError } from '@agent/contracts'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

import { replaceFile } from './replace-file.ts'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMs = 86_400_000
const lifeMs = { ca: 3_650 * dayMs, serving: 365 * dayMs }
const renewBeforeMs = 30 * dayMs

/** Serving certificate and key as PEM, and the CA that clients need, if it is ours. */
export type ServingTls = { cert: string; key: string; ca: string | undefined }

/** Reads the operator's certificate; throws `config-invalid` naming the file. */
export async function readGivenTls(certFile: string, keyFile: string): Promise<ServingTls> {
  const read = async (setting: string, file: string): Promise<string> => {
    try {
      return await readFile(file, 'utf8')
    } catch (cause) {
      throw new AgentError('config-invalid', `${setting}: cannot read ${file}`, { cause })
    }
  }
  const cert = await read('CONTROL_PLANE_TLS_CERT_FILE', certFile)
  const key = await read('CONTROL_PLANE_TLS_KEY_FILE', keyFile)
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    throw new AgentError(
      'config-invalid',
      `CONTROL_PLANE_TLS_CERT_FILE, CONTROL_PLANE_TLS_KEY_FILE: ${certFile} and ${keyFile} are not a PEM certificate and its key`,
      { cause },
    )
  }
  return { cert, key, ca: undefined }
}

/**
 * The generated certificate in the data directory: kept while it is good, renewed under the same CA. A new CA would
 * shut out every agent and kubeconfig, so it is only made where there is none; half of one throws `config-invalid`.
 */
export async function keepGeneratedTls(dir: string, hosts: string[]): Promise<ServingTls> {
  const names = [...new Set(['localhost', '127.0.0.1', '::1', hostname(), ...hosts])]
  const file = (name: string): string => join(dir, name)
  const [ca, caKey, cert, key] = await Promise.all(
    ['ca.crt', 'ca.key', 'tls.crt', 'tls.key'].map((name) => readIfThere(file(name))),
  )
  if (ca !== undefined && cert !== undefined && key !== undefined && isGood(cert, key, ca, names)) {
    return { cert, key, ca }
  }
  if ((ca === undefined) !== (caKey === undefined)) {
    const missing = file(ca === undefined ? 'ca.crt' : 'ca.key')
    throw new AgentError(
      'config-invalid',
      `CONTROL_PLANE_DATA_DIR: ${missing} is missing: put it back, or delete the other half for a new CA`,
    )
  }
  const isNew = ca === undefined || caKey === undefined
  const authority = isNew ? await createAuthority() : await loadAuthority(ca, caKey)
  const serving = await createServing(authority, names)
  if (isNew) {
    await replaceFile(file('ca.key'), authority.keyPem)
    await replaceFile(file('ca.crt'), authority.certPem, 0o644)
  }
  await replaceFile(file('tls.key'), serving.key)
  await replaceFile(file('tls.crt'), serving.cert, 0o644)
  return { ...serving, ca: authority.certPem }
}

type Authority = {
  certificate: X509Certificate
  certPem: string
  key: webcrypto.CryptoKey
  keyPem: string
}

async function createAuthority(): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=PipeOps control plane CA',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + lifeMs.ca),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  })
  const keyPem = await exportKey(keys.privateKey)
  return { certificate, certPem: certificate.toString('pem'), key: keys.privateKey, keyPem }
}

async function loadAuthority(certPem: string, keyPem: string): Promise<Authority> {
  const der = PemConverter.decodeFirst(keyPem)
  const key = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign'])
  return { certificate: new X509Certificate(certPem), certPem, key, keyPem }
}

async function createServing(authority: Authority, names: string[]) {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await X509CertificateGenerator.create({
    subject: 'CN=PipeOps control plane',
    issuer: authority.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - dayMs),
    notAfter: new Date(Date.now() + lifeMs.serving),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        names.map((value) => ({
          type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
          value,
        })),
      ),
    ],
  })
  return { cert: certificate.toString('pem'), key: await exportKey(keys.privateKey) }
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')}\n`
}

function isGood(pem: string, key: string, ca: string, names: string[]): boolean {
  try {
    const certificate = new Certificate(pem)
    if (!certificate.checkPrivateKey(createPrivateKey(key))) return false
    if (!certificate.verify(new Certificate(ca).publicKey)) return false
  } catch {
    return false
  }
  const certificate = new X509Certificate(pem)
  if (certificate.notAfter.getTime() - Date.now() < renewBeforeMs) return false
  const alternative = certificate.getExtension(SubjectAlternativeNameExtension)
  const present = new Set(alternative?.names.toJSON().map(({ value }) => value))
  return names.every((name) => present.has(name))
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new AgentError('config-invalid', `CONTROL_PLANE_DATA_DIR: cannot read ${file}`, { cause })
  }
}
