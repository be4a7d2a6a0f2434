// Match the brightness and colour of the painting to the photo; as matched_to_photo in rac_unet/unmasking/pasting.py.

import { median } from "./rank.js";
import { enlargedLinearly, resizedFloats } from "./resize.js";
import { reflected } from "./search.js";

const REACH = 0.12;
const MOST_CORRECTION = 0.3;
const COLOURLESS = 0.01;
export const LIGHT_SIZE = 128;
const FEWEST_KNOWN = 12;

/**
 * Return the painting with the photo's light and colour, (size, size, 3) floats in [0, 1].
 *
 * ring: 1 at the known pixels near the map, where crop and painting can be compared.
 * box: [x0, y0, x1, y1] of the pixels that are needed; others are as painted.
 * lightSize: crops of twice this size or more are compared at about this size.
 */
export function matchedToPhoto(painting, crop, ring, size, box = [0, 0, size, size], lightSize = LIGHT_SIZE) {
  const known = indicesOf(ring);
  if (known.length < FEWEST_KNOWN) return painting;
  const painted = isColourless(crop, known) ? withoutColour(painting) : painting;
  const off = new Float32Array(painted.length);
  for (let k = 0; k < off.length; k++) off[k] = crop[k] - painted[k];
  const fine = size < 2 * lightSize;
  const correction = fine ? lightCorrection(off, known, size, box) : coarseCorrection(off, ring, size, box, lightSize);
  const out = Float32Array.from(painted);
  const [x0, y0, x1, y1] = box;
  for (let y = y0, from = 0; y < y1; y++) {
    for (let k = 3 * (y * size + x0); k < 3 * (y * size + x1); k++, from++) {
      out[k] = Math.min(Math.max(painted[k] + correction[from], 0), 1);
    }
  }
  return out;
}

/** As lightCorrection, computed at about `lightSize`: light changes slowly. */
function coarseCorrection(off, ring, size, box, lightSize) {
  const small = Math.floor(size / Math.floor(size / lightSize));
  const shares = resizedFloats(Float32Array.from(ring), size, 1, small);
  const known = indicesOf(shares.map((share) => Number(share > 0.999)));
  const [x0, y0, x1, y1] = box;
  if (!known.length) return new Float32Array(3 * (x1 - x0) * (y1 - y0));
  const correction = lightCorrection(resizedFloats(off, size, 3, small), known, small, [0, 0, small, small]);
  return enlargedLinearly(correction, small, 3, size, box);
}

/** Return the difference between photo and painting at the known pixels, extended smoothly: 3 floats per pixel of the box. */
function lightCorrection(off, known, size, box) {
  const count = known.length;
  const middle = [0, 1, 2].map((c) => medianOf(off, known, c));
  // Hair, background or a collar differ for other reasons than light; Tukey's biweight excludes them.
  const distance = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    const at = 3 * known[n];
    const most = Math.max(Math.abs(off[at] - middle[0]), Math.abs(off[at + 1] - middle[1]));
    distance[n] = Math.max(most, Math.abs(off[at + 2] - middle[2]));
  }
  const limit = 4 * Math.max(median(Float32Array.from(distance)), 0.02);
  // Per known pixel: weighted difference of each colour, and weight.
  const sums = new Float32Array(4 * count);
  const total = new Float64Array(4);
  for (let n = 0; n < count; n++) {
    const weight = Math.max(1 - (distance[n] / limit) ** 2, 0) ** 2;
    for (let c = 0; c < 4; c++) {
      sums[4 * n + c] = c < 3 ? weight * off[3 * known[n] + c] : weight;
      total[c] += sums[4 * n + c];
    }
  }
  const smooth = spread(known, sums, size, REACH * size, box);
  // Far from all known pixels, their mean takes over.
  const mean = total.map((sum) => (0.02 * sum) / Math.max(total[3], 1e-6));
  const [x0, y0, x1, y1] = box;
  const correction = new Float32Array(3 * (x1 - x0) * (y1 - y0));
  for (let y = y0, to = 0; y < y1; y++) {
    for (let i = y * size + x0; i < y * size + x1; i++) {
      const share = 1 / (smooth[4 * i + 3] + 0.02);
      for (let c = 0; c < 3; c++, to++) {
        const value = (smooth[4 * i + c] + mean[c]) * share;
        correction[to] = Math.min(Math.max(value, -MOST_CORRECTION), MOST_CORRECTION);
      }
    }
  }
  return correction;
}

function indicesOf(ring) {
  const known = new Int32Array(ring.length);
  let count = 0;
  for (let i = 0; i < ring.length; i++) if (ring[i]) known[count++] = i;
  return known.subarray(0, count);
}

function isColourless(crop, known) {
  let spread = 0;
  for (let n = 0; n < known.length; n++) {
    const red = crop[3 * known[n]];
    const green = crop[3 * known[n] + 1];
    const blue = crop[3 * known[n] + 2];
    spread += Math.max(red, green, blue) - Math.min(red, green, blue);
  }
  return spread / known.length < COLOURLESS;
}

function withoutColour(painting) {
  const out = new Float32Array(painting.length);
  for (let k = 0; k < out.length; k += 3) out.fill((painting[k] + painting[k + 1] + painting[k + 2]) / 3, k, k + 3);
  return out;
}

function medianOf(off, known, channel) {
  const values = new Float32Array(known.length);
  for (let n = 0; n < values.length; n++) values[n] = off[3 * known[n] + channel];
  return median(values);
}

/**
 * Blur by a Gaussian, mirrored at the border: (size, size, 4) floats that are 0 but for the known pixels' values.
 *
 * Only the pixels of the box are computed.
 */
function spread(known, values, size, sigma, [x0, y0, x1, y1]) {
  const share = blurMatrix(size, sigma);
  const row = 4 * size;
  // Three more rows, which the loop below reads with a share of 0.
  const across = new Float32Array((size + 3) * row);
  for (let n = 0; n < known.length; n++) {
    const x = known[n] % size;
    const a = values[4 * n];
    const b = values[4 * n + 1];
    const c = values[4 * n + 2];
    const d = values[4 * n + 3];
    if (!d) continue;
    let to = 4 * (known[n] - x + x0);
    for (let u = x0; u < x1; u++, to += 4) {
      const weight = share[u * size + x];
      across[to] += weight * a;
      across[to + 1] += weight * b;
      across[to + 2] += weight * c;
      across[to + 3] += weight * d;
    }
  }
  const out = new Float32Array(size * row);
  const first = Math.floor(known[0] / size);
  const last = Math.floor(known[known.length - 1] / size);
  // Four rows at a time, which spares most of the stores.
  for (let v = y0; v < y1; v++) {
    for (let y = first; y <= last; y += 4) {
      const a = share[v * size + y];
      const b = y + 1 < size ? share[v * size + y + 1] : 0;
      const c = y + 2 < size ? share[v * size + y + 2] : 0;
      const d = y + 3 < size ? share[v * size + y + 3] : 0;
      const end = v * row + 4 * x1;
      let from = y * row + 4 * x0;
      for (let to = v * row + 4 * x0; to < end; to++, from++) {
        const upper = a * across[from] + b * across[from + row];
        out[to] += upper + c * across[from + 2 * row] + d * across[from + 3 * row];
      }
    }
  }
  return out;
}

const matrices = new Map();

/** Share of each source pixel (column) in each blurred pixel (row) of a line. */
function blurMatrix(size, sigma) {
  if (!matrices.has(size)) {
    const radius = (Math.round(8 * sigma + 1) | 1) >> 1;
    const kernel = Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
    const sum = kernel.reduce((all, value) => all + value, 0);
    const share = new Float32Array(size * size);
    for (let x = 0; x < size; x++) {
      for (let k = 0; k < kernel.length; k++) share[x * size + reflected(x + k - radius, size)] += kernel[k] / sum;
    }
    matrices.set(size, share);
  }
  return matrices.get(size);
}
