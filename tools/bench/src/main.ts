import { bench } from './bench.ts'
import { measureInside } from './inside.ts'
import { insideArgument } from './namespace.ts'

const argv = process.argv.slice(2)
process.exitCode = argv[0] === insideArgument ? await measureInside() : await bench(argv)
process.exit()
