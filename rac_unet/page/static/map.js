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
  const keep = Array.from(regions.areas, (area, label) => {
    if (!label || area < SPECK * pixels || sure[label] < (SPECK / 2) * pixels) return false;
    const x = (regions.sumX[label] / area - FACE[0] * size) / (FACE[2] * size);
    const y = (regions.sumY[label] / area - FACE[1] * size) / (FACE[3] * size);
    return Math.hypot(x, y) <= 1;
  });
  const hidden = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) hidden[i] = Number(keep[regions.labels[i]]);
  const holes = connectedRegions(
    hidden.map((value) => 1 - value),
    size,
    false,
  );
  const small = Array.from(holes.areas, (area, label) => label > 0 && area < HOLE * pixels);
  for (let i = 0; i < size; i++) {
    for (const at of [i, pixels - 1 - i, i * size, i * size + size - 1]) small[holes.labels[at]] = false;
  }
  return hidden.map((value, i) => value | Number(small[holes.labels[i]]));
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
  const away = distances(
    hidden.map((value) => 1 - value),
    size,
  );
  // Nothing is painted outside the crop, so the map fades out where the mask extends beyond it.
  const notCut = new Uint8Array(pixels).fill(1);
  for (let i = 0; i < size; i++) {
    for (const at of [i, pixels - 1 - i, i * size, i * size + size - 1]) notCut[at] = 1 - hidden[at];
  }
  const fromCut = distances(notCut, size);
  const inside = distances(hidden, size);
  const fromEyes = distances(
    filledOutlines(eyes, size).map((value) => 1 - value),
    size,
  );
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
  const wide = dilated(grown, size, Math.max(2, rounded(RING * size)));
  const close = dilated(grown, size, 1);
  return { weight, ring: wide.map((value, i) => value & (1 - close[i])), area: count / pixels };
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
    for (let k = 0; k < size * size; k++) {
      const i = direction > 0 ? k : size * size - 1 - k;
      const x = i % size;
      const at = ((i - x) / size + 2) * wide + x + 2;
      if (!values[i]) {
        padded[at] = 0;
        continue;
      }
      const [d, w] = [direction, direction * wide];
      const straight = Math.min(padded[at - d], padded[at - w]) + 1;
      const diagonal = Math.min(padded[at - w - d], padded[at - w + d]) + 1.4;
      const flat = Math.min(padded[at - w - 2 * d], padded[at - w + 2 * d]);
      const steep = Math.min(padded[at - d * two - d], padded[at - d * two + d]);
      padded[at] = Math.min(padded[at], straight, diagonal, Math.min(flat, steep) + 2.1969);
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
  const reach = Array.from({ length: 2 * radius + 1 }, (_, i) =>
    rounded(radius * Math.sqrt((radius * radius - (i - radius) ** 2) / (radius * radius))),
  );
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) until[x + 1] = until[x] + values[y * size + x];
    if (!until[size]) continue;
    for (let i = 0; i < reach.length; i++) {
      const row = y + i - radius;
      if (row < 0 || row >= size) continue;
      for (let x = 0; x < size; x++) {
        const low = Math.max(x - reach[i], 0);
        const high = Math.min(x + reach[i] + 1, size);
        if (until[high] > until[low]) out[row * size + x] = 1;
      }
    }
  }
  return out;
}
