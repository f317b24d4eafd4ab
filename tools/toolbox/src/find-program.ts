import { access, constants } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

/** PATH, and what a person's often lacks: the folders that administrators' programs are in. */
export const hostPath = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
/** Where programs of this machine are looked for. */
export const hostFolders: readonly string[] = [...hostPath.split(delimiter), '/usr/bin', '/bin']

/** The path of a program in the first of the folders that has it; undefined where none has. */
export async function findProgram(
  name: string,
  folders: readonly string[] = hostFolders,
): Promise<string | undefined> {
  for (const folder of folders) {
    const file = join(folder, name)
    if (await isExecutable(file)) return file
  }
  return undefined
}

/** Whether somebody may run this file. */
export async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
