import { agentNames, names } from './names.ts'
import type { World } from './world.ts'

const longLine = /^(.{240}).+$/gm

/** What somebody would look at first: pods, events and the last lines of each container. */
export async function explain({ kubectl }: World): Promise<string> {
  const parts: string[] = [await kubectl(['get', 'pods', '-A', '-o', 'wide'])]
  for (const { namespace } of [names.controlPlane, ...Object.values(agentNames)]) {
    const events = await kubectl(['get', 'events', '-n', namespace, '--sort-by=.lastTimestamp'])
    parts.push(events.split('\n').slice(-7).join('\n'))
    const pods = await kubectl(['get', 'pods', '-n', namespace, '-o', 'name'])
    for (const pod of pods.split('\n').filter(Boolean)) {
      const tail = ['--all-containers', '--prefix', '--tail=3', '--ignore-errors']
      parts.push(await kubectl(['logs', '-n', namespace, pod, ...tail]).catch(String))
    }
  }
  return parts.join('\n').replaceAll(longLine, '$1 …')
}
