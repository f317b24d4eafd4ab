import assert from 'node:assert/strict'

import { openBrowser } from '@agent/browser'

import type { Agent } from './agent.ts'
import type { Checks } from './checks.ts'
import type { Tunnel } from './tunnel.ts'

const waitMs = 30_000

/** The console's dashboard, opened by a browser that reaches nothing but the control plane. */
export async function checkConsole(
  { check }: Checks,
  { cluster }: Agent,
  { url, token }: Tunnel,
): Promise<void> {
  await check('the dashboard opens in Chromium, through the tunnel', async () => {
    await using browser = await openBrowser()
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      extraHTTPHeaders: { authorization: `Bearer ${token}` },
    })
    const page = await context.newPage()
    page.setDefaultTimeout(waitMs)
    const problems: string[] = []
    page.on('pageerror', ({ message }) => problems.push(message))
    const answer = await page.goto(`${url.href}agent/dashboard`)
    assert.equal(answer?.status(), 200)
    for (const name of ['link', 'proxy', cluster]) {
      await page.getByText(name).first().waitFor()
    }
    assert.deepEqual(problems, [])
  })
}
