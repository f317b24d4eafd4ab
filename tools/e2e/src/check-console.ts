import assert from 'node:assert/strict'

import { chromium } from 'playwright-core'

import type { Checks } from './checks.ts'
import { execute } from './command.ts'
import { names } from './install.ts'
import type { Tunnel } from './tunnel.ts'

const programs = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const waitMs = 30_000

/** The console's dashboard, opened by a browser that reaches nothing but the control plane. */
export async function checkConsole({ check }: Checks, { url, token }: Tunnel): Promise<void> {
  await check('the dashboard opens in Chromium, through the tunnel', async () => {
    const browser = await chromium.launch({
      executablePath: await findBrowser(),
      // Its own sandbox needs rights that root in a container does not have.
      args: ['--no-sandbox'],
    })
    try {
      const context = await browser.newContext({
        ignoreHTTPSErrors: true,
        extraHTTPHeaders: { authorization: `Bearer ${token}` },
      })
      const page = await context.newPage()
      page.setDefaultTimeout(waitMs)
      const problems: string[] = []
      page.on('pageerror', ({ message }) => problems.push(message))
      const answer = await page.goto(`${url.href.replace(/\/proxy$/, '/agent')}/dashboard`)
      assert.equal(answer?.status(), 200)
      for (const name of ['link', 'proxy', names.cluster]) {
        await page.getByText(name).first().waitFor()
      }
      assert.deepEqual(problems, [])
    } finally {
      await browser.close()
    }
  })
}

async function findBrowser(): Promise<string> {
  const named = process.env['CHROMIUM'] ?? ''
  if (named !== '') return named
  for (const name of programs) {
    const { code, stdout } = await execute('sh', ['-c', 'command -v "$0"', name])
    if (code === 0) return stdout.trim()
  }
  throw new Error('Chromium is not on PATH: install it, or name it in CHROMIUM')
}
