import { createHash } from 'node:crypto'

const style = `
:root { color-scheme: light dark; --ink: #16202b; --paper: #f6f8fa; --card: #fff; --line: #d3dae2; --accent: #0b62c4; --bad: #b3261e }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf2; --paper: #10161d; --card: #1a222c; --line: #35414e; --accent: #6cb2ff; --bad: #ff8a80 }
}
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
main { box-sizing: border-box; width: min(26rem, 92vw); padding: 2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 12px }
h1 { margin: 0 0 .25rem; font-size: 1.25rem }
p { margin: 0 0 1rem }
label { display: block; font-weight: 600; margin-bottom: .25rem }
input, button { box-sizing: border-box; width: 100%; font: inherit; padding: .6rem .75rem; border-radius: 8px }
input { border: 1px solid var(--line); background: var(--paper); color: inherit; margin-bottom: 1rem }
button { border: 0; background: var(--accent); color: var(--card); font-weight: 600; cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.bad { color: var(--bad) }`

/** The page that asks for a token; `action` is where its form goes, relative to the page. */
export function loginPage(options: { action: string; what: string; problem?: string }): string {
  const problem =
    options.problem === undefined
      ? ''
      : `<p class="bad" role="alert">${escape(options.problem)}</p>`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in · PipeOps agent</title>
<style>${style}</style>
<main>
<h1>Sign in</h1>
<p>This page needs ${escape(options.what)}.</p>
${problem}
<form method="post" action="${escape(options.action)}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button>
</form>
</main>
</html>
`
}

/** Headers of the page: nothing but its own style and form. */
export const loginPageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // With none at all the form's POST would say `Origin: null`.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
