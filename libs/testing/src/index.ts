export { assertBackToBaseline, type Census, mostOf, takeCensus } from './census.ts'
export { eventually } from './eventually.ts'
export { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
export { startNats, type TestNats } from './nats.ts'
