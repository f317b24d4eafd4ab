import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { expect, test } from 'vitest'

import { mergeExpositions, readMetric } from './merge-expositions.ts'

async function textOf(value: number): Promise<string> {
  const registers = [new Registry()]
  new Counter({ name: 'requests_total', help: 'Requests.', labelNames: ['path'], registers }).inc(
    { path: 'a {b} "c"' },
    value,
  )
  new Gauge({ name: 'up', help: 'Up.', registers }).set(value)
  new Histogram({ name: 'seconds', help: 'Time.', buckets: [1], registers }).observe(value)
  return (registers[0] as Registry).metrics()
}

test('each family stands once, together, and each sample says whose it is', async () => {
  const merged = mergeExpositions([
    { text: await textOf(1), labels: { sidecar: 'link', instance: 'a' } },
    { text: await textOf(2), labels: { sidecar: 'proxy', instance: 'b"\\' } },
  ])
  expect(merged.match(/^# TYPE requests_total counter$/gm)).toHaveLength(1)
  expect(merged).toContain(
    'requests_total{sidecar="link",instance="a",path="a {b} \\"c\\""} 1\n' +
      'requests_total{sidecar="proxy",instance="b\\"\\\\",path="a {b} \\"c\\""} 2\n',
  )
  expect(merged).toContain('up{sidecar="link",instance="a"} 1\n')
  expect(merged).toContain('seconds_bucket{sidecar="link",instance="a",le="1"} 1\n')
  const families = [...merged.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
  expect(new Set(families).size).toBe(families.length)
})

test('a metric is read by its whole name', async () => {
  const text = await textOf(3)
  expect(readMetric(text, 'up')).toBe(3)
  expect(readMetric(text, 'requests')).toBeUndefined()
  expect(readMetric(text, 'requests_total')).toBe(3)
})
