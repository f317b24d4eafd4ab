export type { Bus, Subscription } from './bus.ts'
export { createMemoryBus } from './memory.ts'
export { connectNatsBus, type NatsBusOptions } from './nats.ts'
