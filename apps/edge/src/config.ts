import * as z from 'zod'

/** Stopped from the end: while proxy drains, link stays connected. */
export const hosted = ['link', 'proxy', 'console'] as const

/** Settings of the edge profile; those of the sidecars that it hosts are read beside them. */
export const Config = z.object({
  EDGE_SIDECARS: z
    .string()
    .default(hosted.join(','))
    .transform((names) => names.split(',').map((name) => name.trim()))
    .pipe(z.array(z.enum(hosted)))
    .describe(
      'The sidecars that this process hosts, with commas between; with fewer than all, CONSOLE_EXPECTS has to say so, too.',
    ),
})
export type Config = z.infer<typeof Config>
