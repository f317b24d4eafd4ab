import * as z from 'zod'

/** What outlives a restart: who this agent is, and what must stay secret. */
export const State = z.object({
  agentId: z.string().min(1),
  clusterId: z.string().nullable(),
  clusterToken: z.string().nullable(),
})
export type State = z.infer<typeof State>

/** A place where state is kept. */
export type StateStore = {
  /** Undefined where nothing was kept yet; throws where it cannot be read. */
  load(): Promise<State | undefined>
  /** Keeps the first state, or finds that somebody else did meanwhile; returns what is kept. */
  claim(state: State): Promise<State>
  save(state: State): Promise<void>
}
