import { expect, test } from 'vitest'

import { parseTokenFile } from './token-file.ts'

test('kube-apiserver’s format is read, with an optional column of clusters', () => {
  const text = 'tok1,alice,1\ntok2,bob,2,"dev,ops"\n\n# comment\ntok3,"c,d",3,dev,"east,west"\n'
  expect(parseTokenFile(text)).toMatchObject([
    { user: 'alice', groups: [], clusters: null },
    { user: 'bob', groups: ['dev', 'ops'], clusters: null },
    { user: 'c,d', groups: ['dev'], clusters: ['east', 'west'] },
  ])
})

test('bad lines are named by number, all of them, and no token is shown', () => {
  const parse = (): unknown => parseTokenFile('s3cret\nok,alice,1\n,bob,2\ns3cret,"open,1\n')
  expect(parse).toThrow(/line 1.*line 3.*line 4/s)
  expect(parse).not.toThrow(/s3cret/)
})

test('a user no proxy would take is refused by line, the largest one is read', () => {
  const groups = (count: number): string => Array.from({ length: count }, (_, at) => at).join()
  const long = 'x'.repeat(257)
  const bad = `t1,${long},1\nt2,bob,2,"${groups(65)}"\nt3,carol,3,${long}\n`
  expect(() => parseTokenFile(bad)).toThrow(/line 1:.*line 2:.*line 3:/s)
  expect(() => parseTokenFile(bad)).not.toThrow(/x{257}/)
  expect(parseTokenFile(`t1,${long.slice(1)},1,"${groups(64)}"`)).toHaveLength(1)
})
