// Detect face boxes in a picture with BlazeFace: prepare its input and decode its output; as rac_unet/faces/boxes.py.

import { resizedByArea } from "./resize.js";
import { rounded } from "./warp.js";

const { fround } = Math;

/** A variant: its network, the side of its input, and (stride, anchors per cell) of its grids. */
export const NEAR = {
  network: "near",
  side: 128,
  grids: [
    [8, 2],
    [16, 6],
  ],
};
export const FAR = { network: "far", side: 192, grids: [[4, 1]] };

/**
 * Return the boxes of the faces that one variant detects in a picture, most confident first.
 *
 * run: (network, input) -> outputs by position. Each row: score, x0, y0, x1, y1, left eye x, y, right eye x, y.
 */
export async function findBoxes(run, blaze, picture, minScore) {
  const { side } = blaze;
  const scale = side / Math.max(picture.width, picture.height);
  const width = Math.max(1, rounded(picture.width * scale));
  const height = Math.max(1, rounded(picture.height * scale));
  const small = resizedByArea(picture, width, height);
  const left = (side - width) >> 1;
  const top = (side - height) >> 1;
  const canvas = new Float32Array(side * side * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 4 * (y * width + x);
      const to = 3 * ((top + y) * side + left + x);
      for (let c = 0; c < 3; c++) canvas[to + c] = fround(small.data[from + c] / 127.5) - 1;
    }
  }
  const [regression, logits] = await run(blaze.network, canvas);
  const least = Math.log(minScore / (1 - minScore));
  const anchors = anchorsOf(blaze);
  const rows = [];
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] < least) continue;
    const score = fround(1 / fround(1 + fround(Math.exp(-Math.min(Math.max(logits[i], -60), 60)))));
    const [anchorX, anchorY] = anchors[i];
    // Rounded to 32 bits like NumPy's arrays, so that faces are cut at the same place.
    const raw = Array.from(regression.subarray(16 * i, 16 * i + 8), (value) => fround(value / side));
    const x = fround(raw[0] + anchorX);
    const y = fround(raw[1] + anchorY);
    const box = [x - raw[2] / 2, y - raw[3] / 2, x + raw[2] / 2, y + raw[3] / 2];
    const eyes = [raw[4] + anchorX, raw[5] + anchorY, raw[6] + anchorX, raw[7] + anchorY];
    const places = [...box, ...eyes].map((value) => fround(fround(value) * side));
    rows.push([score, ...places.map((value, k) => fround((value - (k % 2 ? top : left)) / scale))]);
  }
  return blendedOverlaps(rows);
}

function anchorsOf(blaze) {
  if (!blaze.anchors) {
    blaze.anchors = [];
    for (const [stride, perCell] of blaze.grids) {
      const cells = blaze.side / stride;
      for (let i = 0; i < cells * cells * perCell; i++) {
        const cell = Math.floor(i / perCell);
        const centre = (place) => fround((place + 0.5) / cells);
        blaze.anchors.push([centre(cell % cells), centre(Math.floor(cell / cells))]);
      }
    }
  }
  return blaze.anchors;
}

/** Merge boxes of the same face into their score-weighted mean, BlazeFace's replacement of plain suppression. */
function blendedOverlaps(found) {
  let rows = found.sort((one, other) => other[0] - one[0]);
  const merged = [];
  while (rows.length) {
    const first = rows[0];
    const same = rows.filter((row) => row === first || overlap(row, first) > 0.3);
    const total = same.reduce((sum, row) => fround(sum + row[0]), 0);
    const weighted = (k) => same.reduce((sum, row) => fround(sum + fround(row[0] * row[k])), 0);
    const mean = first.map((_, k) => (k ? fround(weighted(k) / total) : first[0]));
    merged.push(mean);
    rows = rows.filter((row) => !same.includes(row));
  }
  return merged;
}

function overlap(one, other) {
  const shared = sharedArea(one, other);
  return shared / Math.max(area(one) + area(other) - shared, 1e-6);
}

/** Area that two rows' boxes share. */
export function sharedArea(one, other) {
  const width = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  const height = Math.min(one[4], other[4]) - Math.max(one[2], other[2]);
  return Math.max(width, 0) * Math.max(height, 0);
}

/** Area of a row's box. */
export function area(row) {
  return (row[3] - row[1]) * (row[4] - row[2]);
}
