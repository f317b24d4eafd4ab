/** One process's metrics in Prometheus' text format, and the labels that tell it from the others. */
export type Exposition = { text: string; labels: Record<string, string> }

type Family = { head: string[]; samples: string[] }

/**
 * Makes one exposition of many: each family once, each sample with its process's labels. A family's samples must stand
 * together (Prometheus text format 0.0.4), so texts cannot just follow one another.
 */
export function mergeExpositions(expositions: readonly Exposition[]): string {
  const families = new Map<string, Family>()
  for (const { text, labels } of expositions) {
    const added = Object.entries(labels)
      .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
      .join(',')
    let family: Family | undefined
    for (const line of text.split('\n')) {
      if (line === '') continue
      if (!line.startsWith('#')) {
        family ??= familyOf(families, nameOf(line))
        family.samples.push(withLabels(line, added))
        continue
      }
      const [, keyword, name] = line.split(' ', 3)
      if ((keyword !== 'HELP' && keyword !== 'TYPE') || name === undefined) continue
      family = familyOf(families, name)
      if (!family.head.some((each) => each.startsWith(`# ${keyword} `))) family.head.push(line)
    }
  }
  return [...families.values()]
    .flatMap(({ head, samples }) => [...head, ...samples])
    .map((line) => `${line}\n`)
    .join('')
}

/** The values of a metric's samples in one exposition, summed; undefined when it is not there. */
export function readMetric(text: string, name: string): number | undefined {
  let sum: number | undefined
  for (const line of text.split('\n')) {
    if (!line.startsWith(name) || !/[ {]/.test(line[name.length] ?? '')) continue
    sum = (sum ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

function familyOf(families: Map<string, Family>, name: string): Family {
  let family = families.get(name)
  if (family === undefined) {
    family = { head: [], samples: [] }
    families.set(name, family)
  }
  return family
}

function nameOf(sample: string): string {
  return /^[^ {]+/.exec(sample)?.[0] ?? ''
}

function withLabels(sample: string, labels: string): string {
  const brace = sample.indexOf('{')
  const space = sample.indexOf(' ')
  if (brace < 0 || brace > space) {
    return `${sample.slice(0, space)}{${labels}}${sample.slice(space)}`
  }
  const separator = sample[brace + 1] === '}' ? '' : ','
  return `${sample.slice(0, brace + 1)}${labels}${separator}${sample.slice(brace + 1)}`
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
