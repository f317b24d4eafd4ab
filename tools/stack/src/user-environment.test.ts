import { expect, test } from 'vitest'

import { userEnvironment } from './user-environment.ts'

test('what a login program needs is passed on, what configures the product is not', () => {
  expect(
    userEnvironment({
      AWS_PROFILE: 'work',
      KUBECONFIG: '/home/me/.kube/config',
      HTTPS_PROXY: 'http://proxy.example:3128',
      PIPEOPS_TOKEN: 'another agent’s',
      BUS_URL: 'nats://elsewhere:4222',
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      NODE_OPTIONS: '--inspect',
      npm_config_registry: 'https://registry.example',
      EMPTY: undefined,
    }),
  ).toEqual({
    AWS_PROFILE: 'work',
    KUBECONFIG: '/home/me/.kube/config',
    HTTPS_PROXY: 'http://proxy.example:3128',
    NO_PROXY: 'localhost,127.0.0.1',
    no_proxy: 'localhost,127.0.0.1',
  })
})

test('the control plane on this machine is never dialled through the user’s proxy', () => {
  const { NO_PROXY, no_proxy: lower } = userEnvironment({ NO_PROXY: '.corp.example' })
  expect([NO_PROXY, lower]).toEqual(Array(2).fill('.corp.example,localhost,127.0.0.1'))
})
