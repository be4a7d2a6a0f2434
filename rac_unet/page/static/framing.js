// Cut a wider face crop where a mask extends below the usual crop; as rac_unet/unmasking/framing.py.

import { inverted, transformed } from "./warp.js";

const WIDER = 0.88;
const FIXED_POINT = [0.5, 0.2];
const TOUCHING = 0.1;
const OUTSIDE = 224 / 255;

/** Return whether a map reaches the crop's lower border where the photo continues. */
export function runsOut(where, matrix, photo, size) {
  const beyond = beyondPhoto(matrix, photo);
  let reached = 0;
  for (let x = 0; x < size; x++) {
    if (where.weight[(size - 1) * size + x] > 0 && !beyond(x, size - 1)) reached++;
  }
  return reached > TOUCHING * size;
}

/** Return landmarks with which alignedFace cuts a crop that shows more below and to both sides of the face. */
export function widerFrame(points, matrix, size) {
  const back = inverted(matrix);
  return points.map((point) => {
    const spread = transformed(matrix, point).map((value, axis) => {
      const fixed = FIXED_POINT[axis] * size;
      return fixed + (Math.fround(value) - fixed) / WIDER;
    });
    return transformed(back, spread).map(Math.fround);
  });
}

/** Return a crop for display, grey outside the photo, where the network sees its edge pixels repeated. */
export function withoutEdges(crop, matrix, photo, size) {
  const beyond = beyondPhoto(matrix, photo);
  const out = Float32Array.from(crop);
  for (let y = 0, k = 0; y < size; y++) {
    for (let x = 0; x < size; x++, k += 3) if (beyond(x, y)) out.fill(OUTSIDE, k, k + 3);
  }
  return out;
}

function beyondPhoto(matrix, photo) {
  const [a, b, c, d, e, f] = inverted(matrix);
  return (x, y) => {
    const column = a * x + b * y + c;
    const row = d * x + e * y + f;
    // A pixel extends half a pixel around its centre; the rest of the margin is for rounding errors.
    return column < -0.51 || row < -0.51 || column > photo.width - 0.49 || row > photo.height - 0.49;
  };
}
