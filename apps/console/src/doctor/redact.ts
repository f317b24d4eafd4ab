import { readFile } from 'node:fs/promises'

const secretName = /TOKEN|SECRET|PASSWORD|KEY|CREDENTIAL/i
const fileName = /_FILE$/
const shortestSecret = 6
export const redacted = '[redacted]'

/** Settings as they may be shown: secrets hidden, paths of secret files kept, passwords in URLs removed. */
export function redactSettings(given: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      secretName.test(name) && !fileName.test(name) ? redacted : redactText(value, []),
    ]),
  )
}

/** The values that must not appear anywhere: of secret settings, and what their files hold. */
export async function secretsOf(given: Record<string, string>): Promise<string[]> {
  const values = await Promise.all(
    Object.entries(given)
      .filter(([name]) => secretName.test(name))
      .map(async ([name, value]) =>
        fileName.test(name) ? readFile(value, 'utf8').catch(() => '') : value,
      ),
  )
  const lines = values.flatMap((value) => [value, ...value.split('\n')]).map((each) => each.trim())
  const secrets = lines.filter((value) => value.length >= shortestSecret).flatMap(spellings)
  // The longer first: one that begins with another must not leave its end behind.
  return [...new Set(secrets)].toSorted((a, b) => b.length - a.length)
}

/** A secret as it may stand in JSON, in a URL and in base64. */
function spellings(secret: string): string[] {
  const base64 = Buffer.from(secret).toString('base64').replace(/=+$/, '')
  return [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret), base64]
}

/** A text without these secrets, bearer tokens, JWTs, private keys and passwords in URLs. */
export function redactText(text: string, secrets: readonly string[]): string {
  let out = text
  for (const secret of secrets) out = out.replaceAll(secret, redacted)
  return out
    .replaceAll(
      /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g,
      redacted,
    )
    .replaceAll(/\bBearer\s+[\w.~+/=-]{6,}/gi, `Bearer ${redacted}`)
    .replaceAll(/\beyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*/g, redacted)
    .replaceAll(/(\w+:\/\/)[^/\s@"]*@/g, `$1${redacted}@`)
}
