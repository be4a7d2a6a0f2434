// The region of a face crop that is replaced: clean a network's map and grow it; as rac_unet/unmasking/pasting.py.
//
// Maps are arrays of size x size elements, row by row.

import { rounded } from "./warp.js";

export const SURELY_HIDDEN = 0.5;
const MAYBE_HIDDEN = 0.3;
// Lengths in shares of the crop's side, as in Python.
const RIM = 0.008;
const EDGE = 0.02;
const CROP_EDGE = 0.03;
const RING = 0.11;
const SPECK = 0.002;
const HOLE = 0.02;
const FACE = [0.5, 0.58, 0.45, 0.37];
const FAR_AWAY = 8192;

/** Return the connected regions (0 or 1) with surely hidden pixels, without specks, holes and other faces' masks. */
export function cleanedMap(occlusion, size) {
  const pixels = size * size;
  const maybe = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) maybe[i] = Number(occlusion[i] > MAYBE_HIDDEN);
  const regions = connectedRegions(maybe, size, true);
  const sure = new Uint32Array(regions.areas.length);
  for (let i = 0; i < pixels; i++) if (occlusion[i] > SURELY_HIDDEN) sure[regions.labels[i]]++;
  const keep = Uint8Array.from(regions.areas, (area, label) => {
    if (!label || area < SPECK * pixels || sure[label] < (SPECK / 2) * pixels) return 0;
    const x = (regions.sumX[label] / area - FACE[0] * size) / (FACE[2] * size);
    const y = (regions.sumY[label] / area - FACE[1] * size) / (FACE[3] * size);
    return Number(Math.hypot(x, y) <= 1);
  });
  const hidden = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) hidden[i] = keep[regions.labels[i]];
  const holes = connectedRegions(opposite(hidden), size, false);
  const small = Uint8Array.from(holes.areas, (area, label) => Number(label > 0 && area < HOLE * pixels));
  for (let i = 0; i < size; i++) {
    for (const at of [i, pixels - 1 - i, i * size, i * size + size - 1]) small[holes.labels[at]] = 0;
  }
  for (let i = 0; i < pixels; i++) hidden[i] |= small[holes.labels[i]];
  return hidden;
}

/**
 * Grow a cleaned map to the region that is replaced.
 *
 * eyes: outlines of both eyes in crop pixels, into which the map does not grow.
 * Returns {weight, ring, area}: opacity of the painting in [0, 1], known pixels near the map (0 or 1), share of the crop.
 */
export function grownMap(hidden, size, eyes) {
  const pixels = size * size;
  const rim = RIM * size;
  const edge = Math.max(1.5, EDGE * size);
  const fade = Math.max(1.5, CROP_EDGE * size);
  const away = distances(opposite(hidden), size);
  // Nothing is painted outside the crop, so the map fades out where the mask extends beyond it.
  const notCut = new Uint8Array(pixels).fill(1);
  for (let i = 0; i < size; i++) {
    for (const at of [i, pixels - 1 - i, i * size, i * size + size - 1]) notCut[at] = 1 - hidden[at];
  }
  const fromCut = distances(notCut, size);
  const inside = distances(hidden, size);
  const fromEyes = distances(opposite(filledOutlines(eyes, size)), size);
  const weight = new Float32Array(pixels);
  const grown = new Uint8Array(pixels);
  let count = 0;
  for (let i = 0; i < pixels; i++) {
    let reach = rim + edge - away[i];
    reach = Math.min(reach, Math.max(inside[i] - away[i] + rim, fromEyes[i]));
    const share = Math.min(Math.max(Math.min(reach / edge, (1 + fromCut[i]) / fade), 0), 1);
    weight[i] = share * share * (3 - 2 * share);
    grown[i] = Number(weight[i] > 0);
    count += grown[i];
  }
  const ring = dilated(grown, size, Math.max(2, rounded(RING * size)));
  const close = dilated(grown, size, 1);
  for (let i = 0; i < pixels; i++) ring[i] &= 1 - close[i];
  return { weight, ring, area: count / pixels };
}

/** Return the box [x0, y0, x1, y1] of the non-zero elements, wider by a margin as far as there is a map; null for none. */
export function boxAround(values, size, margin) {
  let left = size;
  let right = -1;
  let top = size;
  let bottom = -1;
  for (let y = 0, i = 0; y < size; y++) {
    for (let x = 0; x < size; x++, i++) {
      if (!values[i]) continue;
      if (x < left) left = x;
      if (x > right) right = x;
      if (top === size) top = y;
      bottom = y;
    }
  }
  if (right < 0) return null;
  const low = (place) => Math.max(place - margin, 0);
  const high = (place) => Math.min(place + 1 + margin, size);
  return [low(left), low(top), high(right), high(bottom)];
}

function opposite(values) {
  const out = new Uint8Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = 1 - values[i];
  return out;
}

/** Label connected regions of non-zero elements; label 0 is the background. */
function connectedRegions(values, size, diagonal) {
  const labels = new Int32Array(values.length);
  const areas = [0];
  const sumX = [0];
  const sumY = [0];
  const stack = [];
  for (let start = 0; start < values.length; start++) {
    if (!values[start]) areas[0]++;
    if (!values[start] || labels[start]) continue;
    const label = areas.length;
    areas.push(0);
    sumX.push(0);
    sumY.push(0);
    labels[start] = label;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop();
      const x = at % size;
      const y = (at - x) / size;
      areas[label]++;
      sumX[label] += x;
      sumY[label] += y;
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          if (!diagonal && dx && dy) continue;
          const u = x + dx;
          const v = y + dy;
          if (u < 0 || v < 0 || u >= size || v >= size) continue;
          const next = v * size + u;
          if (values[next] && !labels[next]) {
            labels[next] = label;
            stack.push(next);
          }
        }
      }
    }
  }
  return { labels, areas, sumX, sumY };
}

/** Each element's distance to the nearest zero, by the 5 x 5 chamfer of OpenCV's distanceTransform. */
function distances(values, size) {
  // A border of two elements spares the checks at the edges.
  const wide = size + 4;
  const padded = new Float32Array(wide * wide).fill(FAR_AWAY);
  const two = 2 * wide;
  for (const direction of [1, -1]) {
    const back = direction * wide;
    for (let row = 0; row < size; row++) {
      const y = direction > 0 ? row : size - 1 - row;
      const start = direction > 0 ? 0 : size - 1;
      let from = y * size + start;
      let at = (y + 2) * wide + start + 2;
      for (let column = 0; column < size; column++, from += direction, at += direction) {
        if (!values[from]) {
          padded[at] = 0;
          continue;
        }
        const straight = Math.min(padded[at - direction], padded[at - back]) + 1;
        const diagonal = Math.min(padded[at - back - 1], padded[at - back + 1]) + 1.4;
        const flat = Math.min(padded[at - back - 2], padded[at - back + 2]);
        const steep = Math.min(padded[at - direction * two - 1], padded[at - direction * two + 1]);
        padded[at] = Math.min(padded[at], Math.min(straight, diagonal), Math.min(flat, steep) + 2.1969);
      }
    }
  }
  const out = new Float32Array(size * size);
  for (let y = 0; y < size; y++) out.set(padded.subarray((y + 2) * wide + 2, (y + 2) * wide + 2 + size), y * size);
  return out;
}

/** Return 1 inside and on the outlines of polygons. */
function filledOutlines(outlines, size) {
  const out = new Uint8Array(size * size);
  for (const outline of outlines) {
    outline.forEach(([x0, y0], i) => {
      const [x1, y1] = outline[(i + 1) % outline.length];
      const steps = Math.max(1, Math.ceil(2 * Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0))));
      for (let k = 0; k <= steps; k++) {
        const x = Math.round(x0 + ((x1 - x0) * k) / steps);
        const y = Math.round(y0 + ((y1 - y0) * k) / steps);
        if (x >= 0 && y >= 0 && x < size && y < size) out[y * size + x] = 1;
      }
    });
    for (let y = 0; y < size; y++) {
      const crossings = [];
      outline.forEach(([x0, y0], i) => {
        const [x1, y1] = outline[(i + 1) % outline.length];
        if (y0 <= y !== y1 <= y) crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
      });
      crossings.sort((one, other) => one - other);
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        const end = Math.min(Math.floor(crossings[k + 1]), size - 1);
        for (let x = Math.max(Math.ceil(crossings[k]), 0); x <= end; x++) out[y * size + x] = 1;
      }
    }
  }
  return out;
}

/** Return 1 within `radius` of non-zero elements: dilation by OpenCV's elliptic structuring element. */
function dilated(values, size, radius) {
  const out = new Uint8Array(values.length);
  const until = new Int32Array(size + 1);
  const reach = Int32Array.from({ length: radius + 1 }, (_, i) =>
    rounded(radius * Math.sqrt((radius * radius - (i - radius) ** 2) / (radius * radius))),
  );
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) until[x + 1] = until[x] + values[y * size + x];
    if (!until[size]) continue;
    for (let i = 0; i <= radius; i++) {
      // The disc is the same above and below its middle.
      const upper = (y + i - radius) * size;
      const lower = (y - i + radius) * size;
      for (let x = 0; x < size; x++) {
        const low = Math.max(x - reach[i], 0);
        const high = Math.min(x + reach[i] + 1, size);
        if (until[high] === until[low]) continue;
        if (upper >= 0) out[upper + x] = 1;
        if (lower < out.length) out[lower + x] = 1;
      }
    }
  }
  return out;
}
