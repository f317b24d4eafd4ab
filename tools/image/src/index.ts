export { buildImages, type ImageKind } from './images.ts'
export { readNodeFiles, rootFiles } from './node-files.ts'
export { createImage, createLayer, type Image } from './oci.ts'
