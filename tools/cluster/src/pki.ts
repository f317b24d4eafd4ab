import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'

import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const yearMs = 365 * 86_400_000

/** A certificate authority that lives as long as a test cluster does. */
export type Pki = {
  caFile: string
  ca: string
  /** Writes `<name>.crt` and `<name>.key`; `hosts` makes it a serving certificate too. */
  issue(
    name: string,
    subject: string,
    hosts?: string[],
  ): Promise<{ certFile: string; keyFile: string }>
  /** Writes a bare key pair for signing ServiceAccount tokens. */
  signingKey(name: string): Promise<{ privateFile: string; publicFile: string }>
}

/** Creates a CA and writes everything it issues into `dir`. */
export async function createPki(dir: string): Promise<Pki> {
  const keys = await newKeys()
  const notBefore = new Date(Date.now() - 3_600_000)
  const notAfter = new Date(Date.now() + yearMs)
  const authority = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=cluster CA',
    keys,
    signingAlgorithm: algorithm,
    notBefore,
    notAfter,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  })
  const ca = authority.toString('pem')
  const caFile = join(dir, 'ca.crt')
  await writeFile(caFile, ca)

  return {
    ca,
    caFile,
    async issue(name, subject, hosts = []) {
      const own = await newKeys()
      const certificate: X509Certificate = await X509CertificateGenerator.create({
        subject,
        issuer: authority.subject,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        notBefore,
        notAfter,
        extensions: [
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          ...(hosts.length === 0
            ? []
            : [
                new SubjectAlternativeNameExtension(
                  hosts.map((value) => ({
                    type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
                    value,
                  })),
                ),
              ]),
        ],
      })
      const certFile = join(dir, `${name}.crt`)
      const keyFile = join(dir, `${name}.key`)
      await writeFile(certFile, certificate.toString('pem'))
      await writeFile(keyFile, await pem(own.privateKey, 'pkcs8', 'PRIVATE KEY'), { mode: 0o600 })
      return { certFile, keyFile }
    },
    async signingKey(name) {
      const own = await newKeys()
      const privateFile = join(dir, `${name}.key`)
      const publicFile = join(dir, `${name}.pub`)
      await writeFile(privateFile, await pem(own.privateKey, 'pkcs8', 'PRIVATE KEY'), {
        mode: 0o600,
      })
      await writeFile(publicFile, await pem(own.publicKey, 'spki', 'PUBLIC KEY'))
      return { privateFile, publicFile }
    },
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

async function pem(
  key: webcrypto.CryptoKey,
  format: 'pkcs8' | 'spki',
  tag: string,
): Promise<string> {
  return `${PemConverter.encode(await webcrypto.subtle.exportKey(format, key), tag)}\n`
}
