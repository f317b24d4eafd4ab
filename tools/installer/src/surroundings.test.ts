import { readFile } from 'node:fs/promises'

import { describe, expect, test } from 'vitest'

import { createFakeMachine } from './fake-machine.testing.ts'

const PIPEOPS_TOKEN = 'pat_for-the-installer.0123456789'
const lock = 'root/var/lib/pipeops-installer/lock'

describe.concurrent('what surrounds the script', () => {
  test('a user’s settings for k3s do not reach its installer: it can be found and removed again', async () => {
    await using machine = await createFakeMachine()
    const before = await machine.contents()
    const env = {
      INSTALL_K3S_NAME: 'theirs',
      INSTALL_K3S_EXEC: 'agent',
      INSTALL_K3S_BIN_DIR: '/theirs',
      K3S_URL: 'https://theirs:6443',
      K3S_BIN_DIR: '/theirs',
    }

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN, ...env })
    expect(stderr).toBe('')
    expect(code).toBe(0)
    const [ofInstaller = ''] = (await machine.read('environments'))
      .split(/^(?=FAKE_CALL=)/m)
      .filter((text) => text.startsWith('FAKE_CALL=k3s-install.sh'))
    expect(ofInstaller.match(/^(INSTALL_)?K3S_\w+/gm)?.toSorted()).toEqual([
      'INSTALL_K3S_BIN_DIR',
      'INSTALL_K3S_SKIP_DOWNLOAD',
    ])
    const removal = await machine.run(['uninstall', '--yes'], env)

    expect(removal).toMatchObject({ code: 0, stderr: '' })
    expect(await machine.contents()).toEqual(before)
  })

  test.for([
    { what: 'that began at another time', start: ' 1' },
    { what: 'of which nothing more is said', start: '' },
  ])(
    'the lock of a run that died does not block when its pid is a process $what',
    async ({ start }) => {
      await using machine = await createFakeMachine()
      await machine.write(lock, `${process.pid}${start}\n`)

      expect(await machine.run([], { PIPEOPS_TOKEN })).toMatchObject({ code: 0 })
    },
  )

  test('the lock of a run that is under way does', async () => {
    await using machine = await createFakeMachine()
    const stat = await readFile('/proc/self/stat', 'utf8')
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
    await machine.write(lock, `${process.pid} ${start}\n`)

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN })

    expect(code).toBe(1)
    expect(stderr).toContain(`another run of this script is under way (process ${process.pid})`)
    expect(await machine.read(lock)).toContain(`${process.pid} `)
  })

  test('without HOME and without root it says what to do', async () => {
    await using machine = await createFakeMachine({ root: false, docker: true })
    const { HOME: _, ...env } = machine.env

    const { code, stderr } = await machine.run([], { PIPEOPS_TOKEN }, env)

    expect(code).toBe(1)
    expect(stderr).toMatch(/^error: .*record[^]*where: HOME is not set\n {2}do: +set HOME/)
    expect(await machine.run(['--help'], {}, env)).toMatchObject({ code: 0, stderr: '' })
    const placed = { PIPEOPS_TOKEN, PIPEOPS_INSTALLER_HOME: `${machine.dir}/home/placed` }
    expect(await machine.run([], placed, env)).toMatchObject({ code: 0 })
  })
})
