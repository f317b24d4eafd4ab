import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { openBrowser, whyNoBrowser } from '@agent/browser'
import { type FaultProxy } from '@agent/testing'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import { startSystemOverFaults, type System } from './system.ts'

const unable = await whyNoBrowser()
/** Without a browser nothing can be shown: said aloud, and a failure in CI. */
const isSkipped = unable !== undefined && process.env['CI'] === undefined
if (isSkipped) console.warn(`dashboard tests skipped: ${unable}`)
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Set to keep pictures for the documents. */
const pictures = process.env['DASHBOARD_PICTURES']
const phone = { width: 390, height: 844 }
/** What the cluster says once link has reported; every state of the page is checked in the same state of it. */
const knownCluster = /Nodes3Pods9/
const desktop = { width: 1_280, height: 900 }

let system: System
let path: FaultProxy
let browser: Browser
let context: BrowserContext
let page: Page
const problems: string[] = []

beforeAll(async () => {
  if (isSkipped) return
  browser = await openBrowser()
  // What is shown is the test here, not how soon.
  ;({ system, path } = await startSystemOverFaults({
    env: { proxy: { PROXY_CANARY_INTERVAL_SECONDS: '1' } },
  }))
  context = await browser.newContext({ viewport: desktop, ignoreHTTPSErrors: true })
  page = await context.newPage()
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/.test(message.text())) problems.push(message.text())
  })
}, 900_000)
afterAll(async () => {
  await browser?.close()
  await system?.[Symbol.asyncDispose]()
  await path?.[Symbol.asyncDispose]()
}, 60_000)
afterEach(async () => {
  if (!isSkipped) await system.stack.untilReady(60_000)
})

function through(cluster = system.stack.clusterName): string {
  return `${system.stack.controlPlaneUrl}/api/v1/clusters/agent/${cluster}/agent/dashboard`
}

/** The dashboard from the console's own port, signed in with its token. */
async function insidePage(): Promise<Page> {
  const inside = await context.newPage()
  const token = await readFile(system.stack.consoleTokenFile, 'utf8')
  await inside.goto(`${system.stack.consoleUrl}/dashboard`)
  const field = inside.getByLabel('Token')
  if ((await field.count()) > 0) {
    await field.fill(token)
    await inside.getByRole('button', { name: 'Sign in' }).click()
  }
  return inside
}

/** Waits until the page itself shows it, without being loaded again. */
async function shows(selector: string, text: RegExp, timeout = 20_000): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout })
}

async function picture(name: string): Promise<void> {
  if (pictures === undefined) return
  await mkdir(pictures, { recursive: true })
  const { width, height } = page.viewportSize() ?? desktop
  // The top of the page, two screens of it: enough for a document.
  const clip = { x: 0, y: 0, width, height: name === 'sign-in' ? height : height * 1.6 }
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true, clip })
}

async function violations(): Promise<string[]> {
  // Evaluated, not loaded: the page's policy lets no script of anybody else's in.
  await page.evaluate(axe)
  const { violations: found } = await page.evaluate<{
    violations: { id: string; nodes: { html: string }[] }[]
  }>("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })")
  return found.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)
}

describe.skipIf(isSkipped)('the dashboard', () => {
  test('asks for a token, refuses a wrong one in words, and opens with a right one', async () => {
    await page.goto(through())
    await picture('sign-in')
    expect(await violations()).toEqual([])
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Token').fill(system.stack.userToken)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await shows('#state-title', /Connected and carrying requests/)
    expect(await context.cookies()).toMatchObject([
      { httpOnly: true, secure: true, sameSite: 'Strict' },
    ])
  })

  test('shows every hop with its time, and its links work below the control plane’s path', async () => {
    await page.waitForFunction("document.querySelectorAll('#path li[data-state=ok]').length === 8")
    const api = await page.request.get(new URL(await href('API'), page.url()).href)
    expect(await api.json()).toMatchObject({ openapi: '3.1.0' })
    const metrics = await page.request.get(new URL(await href('Metrics'), page.url()).href)
    expect(await metrics.text()).toContain('pipeops_agent_status')
  })

  test('tests the connection at a press of a button', async () => {
    await page.getByRole('button', { name: 'Test now' }).click()
    await shows('#test-result .verdict', /Everything works/)
    await page.locator('#test-result li').nth(9).waitFor()
  })

  test('is usable by everybody, wide and narrow, light and dark', async () => {
    await page.locator('#traffic polyline').first().waitFor({ timeout: 20_000 })
    await shows('#cluster', knownCluster)
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const [name, viewport] of Object.entries({ desktop, phone })) {
        await page.emulateMedia({ colorScheme })
        await page.setViewportSize(viewport)
        expect(await violations(), `${name} ${colorScheme}`).toEqual([])
        const overflow = await page.evaluate<number>(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        )
        expect([name, overflow]).toEqual([name, 0])
        await picture(`${name}-${colorScheme}`)
      }
    }
    await page.emulateMedia({ colorScheme: 'light' })
    await page.setViewportSize(desktop)
    await page.reload()
    await shows('#state-title', /Connected/)
    await page.keyboard.press('Tab')
    expect(await page.evaluate<string>('document.activeElement.textContent')).toBe(
      'Skip to content',
    )
  })

  test('follows and searches logs', async () => {
    await page.locator('#logs-form select[name=source]').selectOption('pod')
    await page.getByLabel('Namespace').fill('shop')
    await page.locator('#logs-form input[name=pod]').fill('web-0')
    await page.getByLabel('Search').fill('log line 2')
    await page.getByRole('button', { name: 'Follow' }).click()
    await shows('#logs', /log line 2/)
    expect(await page.locator('#logs').textContent()).not.toContain('log line 1\n')
    await page.locator('#logs-form input[name=pod]').fill('no-such-pod')
    await page.getByRole('button', { name: 'Follow' }).click()
    await shows('#logs-state', /no-such-pod.* not found/)
  })

  test('shows by itself that the connection is gone, and that it is back', async () => {
    // Seen from inside: the way through the tunnel is what is cut.
    const outside = page
    page = await insidePage()
    try {
      await shows('#state-title', /Connected and carrying requests/)
      path.blackHole()
      path.cut()
      await shows('#state-title', /Not connected|not working/)
      await page.locator('#path li[data-state=down]').first().waitFor()
      await shows('#cluster', knownCluster)
      await picture('reconnecting')
      expect(await violations()).toEqual([])
      path.heal()
      await shows('#state-title', /Connected and carrying requests/, 40_000)

      const pid = system.stack.processes.get('proxy-1')?.pid as number
      process.kill(pid, 'SIGSTOP')
      await shows('#sidecars', /silent/)
      await picture('sidecar-dead')
      process.kill(pid, 'SIGCONT')
      await shows('#state-title', /Connected and carrying requests/, 40_000)

      for (const each of system.cluster.pids) process.kill(each, 'SIGSTOP')
      await page.getByRole('button', { name: 'Test now' }).click()
      await shows('#path li[data-state=down]', /API server/, 30_000)
      await shows('#test-result .verdict', /Broken at: api-server\. Check/, 40_000)
      await picture('api-server-down')
      for (const each of system.cluster.pids) process.kill(each, 'SIGCONT')
      await shows('#state-title', /Connected and carrying requests/, 40_000)
    } finally {
      path.heal()
      for (const each of system.cluster.pids) process.kill(each, 'SIGCONT')
      await page.close()
      page = outside
    }
  }, 180_000)

  test('is as usable before it knows anything: the console is new, and link is silent', async () => {
    const outside = page
    page = await insidePage()
    const pidOf = (name: string): number => system.stack.processes.get(name)?.pid as number
    const link = pidOf('link')
    process.kill(link, 'SIGSTOP')
    try {
      process.kill(pidOf('console'), 'SIGKILL')
      await shows('#cluster', /known with link’s first report/)
      await shows('#state-title', /Not connected/)
      expect(await violations()).toEqual([])
      process.kill(link, 'SIGCONT')
      await shows('#cluster', knownCluster)
    } finally {
      process.kill(link, 'SIGCONT')
      await page.close()
      page = outside
    }
  }, 60_000)

  test('breaks no policy of its own and throws nothing', () => expect(problems).toEqual([]))

  test('cannot reach beyond its own path: another cluster’s console shares the origin', async () => {
    const base = `${system.stack.controlPlaneUrl}/api/v1/clusters/agent`
    const reached = (url: string): Promise<string> =>
      page.evaluate<string>(
        `fetch(${JSON.stringify(url)}).then(({ status }) => String(status), () => 'nothing')`,
      )
    expect(await reached(`${base}/${system.stack.clusterName}/agent/health`)).toBe('200')
    expect(await reached(`${base}/other/agent/health`)).toBe('nothing')
    expect(await page.evaluate<boolean>("window.open('about:blank') === null")).toBe(true)
  })

  test('is found without the slash at its end, and lets go of who signs out', async () => {
    await page.goto(through().replace(/\/dashboard$/, ''))
    await shows('#state-title', /Connected and carrying requests/)
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('Token').waitFor()
    expect(await context.cookies(through())).toEqual([])
  })

  test('nothing is left behind once it is closed', async () => {
    await context.close()
    await system.backToStart()
  }, 120_000)
})

async function href(name: string): Promise<string> {
  return (await page.getByRole('link', { name, exact: true }).getAttribute('href')) as string
}
