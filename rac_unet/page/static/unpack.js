// Unpack the page's files: gzip, a patch from one WebAssembly build to another, and networks with sorted bytes.

/** Return the content of a file that is compressed with gzip; a server may have unpacked it already. */
export async function gunzipped(file) {
  const [first, second] = new Uint8Array(file, 0, Math.min(2, file.byteLength));
  if (first !== 0x1f || second !== 0x8b) return new Uint8Array(file);
  const stream = new Blob([file]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Return the bytes of a network that was stored as four runs: each float's first bytes, second bytes and so on. */
export function unsorted(bytes) {
  const quarter = bytes.length >> 2;
  const out = new Uint8Array(bytes.length);
  for (let k = 0; k < 4; k++) for (let i = 0; i < quarter; i++) out[4 * i + k] = bytes[k * quarter + i];
  out.set(bytes.subarray(4 * quarter), 4 * quarter);
  return out;
}

/**
 * Return the file that a patch makes of another file; rac_unet/page/patching.py describes the format.
 */
export function patched(base, patch) {
  const view = new DataView(patch.buffer, patch.byteOffset, patch.byteLength);
  const [size, steps, literals] = [0, 4, 8].map((at) => view.getUint32(at, true));
  const out = new Uint8Array(size);
  let literal = 12 + 12 * steps;
  let difference = literal + literals;
  let to = 0;
  for (let step = 0; step < steps; step++) {
    const at = 12 + 12 * step;
    const [fresh, from, length] = [0, 4, 8].map((more) => view.getUint32(at + more, true));
    out.set(patch.subarray(literal, literal + fresh), to);
    literal += fresh;
    to += fresh;
    for (let i = 0; i < length; i++) out[to + i] = base[from + i] + patch[difference + i];
    difference += length;
    to += length;
  }
  out.set(patch.subarray(literal, 12 + 12 * steps + literals), to);
  return out;
}
