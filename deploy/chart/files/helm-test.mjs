// Asks every sidecar whether it is ready and says why one is not. TARGETS: name → URL, as JSON; WAIT_SECONDS: for all.
import { setTimeout as delay } from 'node:timers/promises'

const deadline = Date.now() + Number(process.env.WAIT_SECONDS) * 1_000
let failed = 0
for (const [name, url] of Object.entries(JSON.parse(process.env.TARGETS))) {
  let answer = await ask(url)
  while (answer.status !== 200 && Date.now() < deadline) {
    await delay(500)
    answer = await ask(url)
  }
  if (answer.status !== 200) failed++
  console.log(`${answer.status === 200 ? 'ready    ' : 'not ready'} ${name}: ${answer.text}`)
}
process.exitCode = failed === 0 ? 0 : 1

async function ask(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(3_000) })
    return { status: response.status, text: await response.text() }
  } catch (error) {
    return { status: 0, text: `${url} does not answer (${error.cause?.code ?? error.message})` }
  }
}
