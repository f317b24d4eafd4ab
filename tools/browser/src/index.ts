export { openBrowser, whyNoBrowser } from './browser.ts'
