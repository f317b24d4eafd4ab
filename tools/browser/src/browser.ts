import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import { findProgram } from '@agent/toolbox'
import { type Browser, chromium } from 'playwright-core'

const run = promisify(execFile)
const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const installMs = 600_000

/** Why no browser can be had here; undefined when one is there or can be installed. */
export async function whyNoBrowser(): Promise<string | undefined> {
  if ((await findChromium()) !== undefined) return undefined
  const canInstall = process.getuid?.() === 0 && (await findProgram('apt-get')) !== undefined
  return canInstall ? undefined : 'Chromium is not on PATH (set CHROMIUM, or install it)'
}

/** Starts a headless Chromium; Debian's package is installed where there is none and we may. */
export async function openBrowser(): Promise<Browser> {
  const found = (await findChromium()) ?? (await installChromium())
  // Chromium's own sandbox needs rights that root in a container does not have; the pages are ours alone.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  return chromium.launch({ executablePath: found, args })
}

async function findChromium(): Promise<string | undefined> {
  const named = process.env['CHROMIUM']
  if (named !== undefined && named !== '') return named
  for (const name of names) {
    const found = await findProgram(name)
    if (found !== undefined) return found
  }
  return undefined
}

async function installChromium(): Promise<string> {
  process.stderr.write('installing Chromium for the dashboard …\n')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  await run('apt-get', ['update'], { env, timeout: installMs })
  await run(
    'apt-get',
    ['install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'],
    {
      env,
      timeout: installMs,
      maxBuffer: 2 ** 26,
    },
  )
  const found = await findChromium()
  if (found === undefined) throw new Error('Chromium was installed but is not on PATH')
  return found
}
