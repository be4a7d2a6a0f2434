// Match the brightness and colour of the painting to the photo; as matched_to_photo in rac_unet/unmasking/pasting.py.

import { reflected } from "./search.js";

const REACH = 0.12;
const MOST_CORRECTION = 0.3;
const COLOURLESS = 0.01;

/**
 * Return the painting with the photo's light and colour, (size, size, 3) floats in [0, 1].
 *
 * ring: 1 at the known pixels near the map, where crop and painting can be compared.
 */
export function matchedToPhoto(painting, crop, ring, size) {
  const pixels = size * size;
  const known = [];
  for (let i = 0; i < pixels; i++) if (ring[i]) known.push(i);
  if (known.length < 12) return painting;
  const painted = isColourless(crop, known) ? withoutColour(painting) : painting;
  const off = new Float32Array(3 * pixels);
  for (let k = 0; k < off.length; k++) off[k] = crop[k] - painted[k];
  const middle = [0, 1, 2].map((c) => median(picked(known, (i) => off[3 * i + c])));
  // Hair, background or a collar differ for other reasons than light; Tukey's biweight excludes them.
  const distance = (i) => {
    const red = Math.abs(off[3 * i] - middle[0]);
    const green = Math.abs(off[3 * i + 1] - middle[1]);
    return Math.max(red, green, Math.abs(off[3 * i + 2] - middle[2]));
  };
  const limit = 4 * Math.max(median(picked(known, distance)), 0.02);
  // Per known pixel: weighted difference of each colour, and weight.
  const sums = new Float32Array(4 * known.length);
  const total = [0, 0, 0, 0];
  known.forEach((i, n) => {
    const weight = Math.max(1 - (distance(i) / limit) ** 2, 0) ** 2;
    for (let c = 0; c < 4; c++) {
      sums[4 * n + c] = c < 3 ? weight * off[3 * i + c] : weight;
      total[c] += sums[4 * n + c];
    }
  });
  const smooth = spread(known, sums, size, REACH * size);
  // Far from all known pixels, their mean takes over.
  const mean = [0, 1, 2].map((c) => total[c] / Math.max(total[3], 1e-6));
  const out = new Float32Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    const share = 1 / (smooth[4 * i + 3] + 0.02);
    for (let c = 0; c < 3; c++) {
      const correction = (smooth[4 * i + c] + 0.02 * mean[c]) * share;
      const bounded = Math.min(Math.max(correction, -MOST_CORRECTION), MOST_CORRECTION);
      out[3 * i + c] = Math.min(Math.max(painted[3 * i + c] + bounded, 0), 1);
    }
  }
  return out;
}

/** Return the median of a typed array, which is sorted in place. */
export function median(values) {
  values.sort();
  return (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2;
}

function isColourless(crop, known) {
  let spread = 0;
  for (const i of known) {
    const [red, green, blue] = crop.subarray(3 * i, 3 * i + 3);
    spread += Math.max(red, green, blue) - Math.min(red, green, blue);
  }
  return spread / known.length < COLOURLESS;
}

function withoutColour(painting) {
  return painting.map((_, k) => {
    const i = k - (k % 3);
    return (painting[i] + painting[i + 1] + painting[i + 2]) / 3;
  });
}

function picked(known, value) {
  const out = new Float32Array(known.length);
  for (let n = 0; n < out.length; n++) out[n] = value(known[n]);
  return out;
}

/** Blur by a Gaussian, mirrored at the border: (size, size, 4) floats that are 0 but for the known pixels' values. */
function spread(known, values, size, sigma) {
  const share = blurMatrix(size, sigma);
  const row = 4 * size;
  // Three more rows, which the loop below reads with a share of 0.
  const across = new Float32Array((size + 3) * row);
  known.forEach((i, n) => {
    const x = i % size;
    const a = values[4 * n];
    const b = values[4 * n + 1];
    const c = values[4 * n + 2];
    const d = values[4 * n + 3];
    let to = 4 * (i - x);
    for (let u = 0; u < size; u++, to += 4) {
      const weight = share[u * size + x];
      across[to] += weight * a;
      across[to + 1] += weight * b;
      across[to + 2] += weight * c;
      across[to + 3] += weight * d;
    }
  });
  const out = new Float32Array(size * row);
  // Four rows at a time, which spares most of the stores.
  for (let v = 0; v < size; v++) {
    for (let y = 0; y < size; y += 4) {
      const [a, b, c, d] = [0, 1, 2, 3].map((more) => (y + more < size ? share[v * size + y + more] : 0));
      if (!(a || b || c || d)) continue;
      const to = v * row;
      let from = y * row;
      for (let k = 0; k < row; k++, from++) {
        const upper = a * across[from] + b * across[from + row];
        out[to + k] += upper + c * across[from + 2 * row] + d * across[from + 3 * row];
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
