import { readFileSync } from 'node:fs'

import { chromium } from 'playwright-core'
const info = JSON.parse(readFileSync('/tmp/tryconsole/info.json', 'utf8'))
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox'],
})
const context = await browser.newContext({
  viewport: { width: 1280, height: 900 },
  ignoreHTTPSErrors: true,
  colorScheme: process.argv[2] === 'dark' ? 'dark' : 'light',
})
const page = await context.newPage()
page.on('console', (m) => console.log('console:', m.text()))
page.on('pageerror', (e) => console.log('pageerror', e.message))
await page.goto(`${info.cp}/api/v1/clusters/agent/demo/agent/dashboard`)
console.log('login title', await page.title())
await page.fill('#token', info.userToken)
await page.click('button')
await page.waitForSelector('#path li')
await new Promise((r) => setTimeout(r, 12000))
await page.click('#test')
await page.waitForSelector('.verdict')
await page.screenshot({ path: '/tmp/desk.png', fullPage: true })
const phone = await browser.newContext({
  viewport: { width: 390, height: 844 },
  ignoreHTTPSErrors: true,
  storageState: await context.storageState(),
  colorScheme: 'dark',
})
const p2 = await phone.newPage()
await p2.goto(`${info.cp}/api/v1/clusters/agent/demo/agent/dashboard`)
await p2.waitForSelector('#path li')
await new Promise((r) => setTimeout(r, 6000))
await p2.screenshot({ path: '/tmp/phone.png', fullPage: true })
await browser.close()
