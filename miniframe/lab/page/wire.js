// A message of the lab: 4 bytes of length, a header in JSON, then the arrays that it describes.

const TYPES = { float32: Float32Array, uint8: Uint8Array, int32: Int32Array };

export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const { name, type, shape, at } of header.arrays) {
    const count = shape.reduce((a, b) => a * b, 1);
    arrays[name] = { shape, data: new TYPES[type](buffer, 4 + length + at, count) };
  }
  return { header, arrays };
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
}
