/** The values of both; where both have one, that of the right. Maps are merged, lists are not. */
export function merge(left: object, right: object): object {
  const merged: Record<string, unknown> = { ...left }
  for (const [key, value] of Object.entries(right)) {
    const before = merged[key]
    const isNested = isMap(before) && isMap(value)
    merged[key] = isNested ? merge(before, value) : value
  }
  return merged
}

function isMap(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
