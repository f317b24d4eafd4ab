export {
  clearSessionCookie,
  isSameOrigin,
  readSessionCookie,
  type SessionCookie,
  setSessionCookie,
} from './cookie.ts'
export { loginPage, loginPageHeaders } from './login-page.ts'
