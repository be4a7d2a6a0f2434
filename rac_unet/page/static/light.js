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
  const off = crop.map((value, k) => value - painted[k]);
  const middle = [0, 1, 2].map((c) => median(Float32Array.from(known, (i) => off[3 * i + c])));
  // Hair, background or a collar differ for other reasons than light; Tukey's biweight excludes them.
  const distance = (i) => Math.max(...middle.map((value, c) => Math.abs(off[3 * i + c] - value)));
  const limit = 4 * Math.max(median(Float32Array.from(known, distance)), 0.02);
  const sums = new Float32Array(4 * pixels);
  const total = [0, 0, 0, 0];
  for (const i of known) {
    const weight = Math.max(1 - (distance(i) / limit) ** 2, 0) ** 2;
    for (let c = 0; c < 4; c++) {
      sums[4 * i + c] = c < 3 ? weight * off[3 * i + c] : weight;
      total[c] += sums[4 * i + c];
    }
  }
  const smooth = blurred(sums, size, REACH * size);
  // Far from all known pixels, their mean takes over.
  const mean = [0, 1, 2].map((c) => total[c] / Math.max(total[3], 1e-6));
  return painted.map((value, k) => {
    const c = k % 3;
    const i = (k - c) / 3;
    const correction = (smooth[4 * i + c] + 0.02 * mean[c]) / (smooth[4 * i + 3] + 0.02);
    const bounded = Math.min(Math.max(correction, -MOST_CORRECTION), MOST_CORRECTION);
    return Math.min(Math.max(value + bounded, 0), 1);
  });
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

/** Blur (size, size, 4) floats by a Gaussian, mirrored at the border. */
function blurred(values, size, sigma) {
  const radius = (Math.round(8 * sigma + 1) | 1) >> 1;
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, i) => Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)));
  const sum = kernel.reduce((all, value) => all + value, 0);
  const places = Array.from({ length: size + 2 * radius }, (_, i) => reflected(i - radius, size));
  let from = values;
  for (const [step, line] of [
    [4, 4 * size],
    [4 * size, 4],
  ]) {
    const to = new Float32Array(values.length);
    for (let row = 0; row < size; row++) {
      for (let x = 0; x < size; x++) {
        let [a, b, c, d] = [0, 0, 0, 0];
        for (let k = 0; k < kernel.length; k++) {
          const at = row * line + places[x + k] * step;
          const share = kernel[k];
          a += share * from[at];
          b += share * from[at + 1];
          c += share * from[at + 2];
          d += share * from[at + 3];
        }
        const at = row * line + x * step;
        to[at] = a / sum;
        to[at + 1] = b / sum;
        to[at + 2] = c / sum;
        to[at + 3] = d / sum;
      }
    }
    from = to;
  }
  return from;
}
