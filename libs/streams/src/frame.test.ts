import { AgentError } from '@agent/contracts'
import { expect, test } from 'vitest'

import {
  encodeFrame,
  type Frame,
  FrameDecoder,
  frameHeaderBytes,
  FrameType,
  maxFramePayloadBytes,
} from './frame.ts'
import { encodeReset, encodeSync, encodeUint32 } from './payloads.ts'

const frames = [
  encodeFrame(FrameType.open, 1, Buffer.from('\0\x02{}body'), true),
  encodeFrame(FrameType.head, 1, Buffer.from('\0\x02{}')),
  encodeFrame(FrameType.data, 0xffff_fffe, Buffer.alloc(0), true),
  encodeFrame(FrameType.data, 3, Buffer.alloc(300, 7)),
  encodeFrame(FrameType.reset, 3, encodeReset(new AgentError('cancelled', 'no'))),
  encodeFrame(FrameType.credit, 0, encodeUint32(65_536)),
  encodeFrame(FrameType.ping, 0, Buffer.alloc(8)),
  encodeFrame(FrameType.sync, 0, encodeSync(9, [1, 3, 5])[0] as Buffer, true),
]

function decode(pieces: Buffer[]): Frame[] {
  const decoder = new FrameDecoder()
  const out: Frame[] = []
  for (const piece of pieces) {
    decoder.push(piece, (frame) => out.push({ ...frame, payload: Buffer.from(frame.payload) }))
  }
  return out
}

test('a byte stream cut at any byte gives the same frames', () => {
  const all = Buffer.concat(frames)
  const whole = decode([all])
  expect(whole).toHaveLength(frames.length)
  for (let cut = 0; cut <= all.length; cut++) {
    expect(decode([all.subarray(0, cut), all.subarray(cut)])).toEqual(whole)
  }
  expect(decode([...all].map((byte) => Buffer.of(byte)))).toEqual(whole)
})

test('a large frame in one-byte pieces costs each byte once, not once for each piece', () => {
  const pieces = Array.from({ length: frameHeaderBytes + maxFramePayloadBytes }, () => Buffer.of(7))
  encodeFrame(FrameType.data, 1, Buffer.alloc(maxFramePayloadBytes))
    .subarray(0, frameHeaderBytes)
    .forEach((byte, at) => void (pieces[at] = Buffer.of(byte)))
  const startedAt = performance.now()
  for (let turn = 0; turn < 8; turn++) expect(decode(pieces)).toHaveLength(1)
  // Copied for each piece it would be 17 GB.
  expect(performance.now() - startedAt).toBeLessThan(1_500)
})

test('what can be no frame is refused with a protocol error', () => {
  const bad = [
    Buffer.from([0, 0, 0, 0, 0, 0, 0, 1]),
    Buffer.from([10, 0, 0, 0, 0, 0, 0, 1]),
    Buffer.from([3, 2, 0, 0, 0, 0, 0, 1]),
    Buffer.from([3, 0, 0xff, 0xff, 0, 0, 0, 1]),
  ]
  for (const bytes of bad) {
    expect(() => decode([bytes])).toThrow(expect.objectContaining({ code: 'protocol' }))
  }
  expect(maxFramePayloadBytes).toBe(65_528)
})
