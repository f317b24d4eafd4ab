export { buildImages, type ImageKind } from './images.ts'
export type { Image } from './oci.ts'
