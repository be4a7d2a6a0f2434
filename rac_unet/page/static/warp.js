// Resample pictures by an affine matrix as OpenCV's warpAffine does, with its coordinates in steps of 1/32 pixel.
//
// A picture is {width, height, data}: RGBA bytes. A matrix is [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f.

const STEPS = 32;

/** Return the inverse of a matrix. */
export function inverted([a, b, c, d, e, f]) {
  const scale = 1 / (a * e - b * d);
  const back = [e * scale, -b * scale, 0, -d * scale, a * scale, 0];
  back[2] = -back[0] * c - back[1] * f;
  back[5] = -back[3] * c - back[4] * f;
  return back;
}

/** Apply a matrix to a point [x, y]. */
export function transformed([a, b, c, d, e, f], [x, y]) {
  return [a * x + b * y + c, d * x + e * y + f];
}

/** Round to the nearest integer, halves to the even one, as C and NumPy do. */
export function rounded(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** Round half to even where only the value counts: as fast as the processor's own rounding. */
function quicklyRounded(value) {
  return value + 6755399441055744 - 6755399441055744;
}

/** The places in the source of one row of the result, in 1/32 pixels: x in the even, y in the odd elements. */
export function sourcePlaces(back, y, left, width, places) {
  const x0 = rounded((back[1] * y + back[2]) * 1024) + 16;
  const y0 = rounded((back[4] * y + back[5]) * 1024) + 16;
  for (let x = 0; x < width; x++) {
    places[2 * x] = (x0 + quicklyRounded(back[0] * (x + left) * 1024)) >> 5;
    places[2 * x + 1] = (y0 + quicklyRounded(back[3] * (x + left) * 1024)) >> 5;
  }
  return places;
}

/**
 * Warp a picture with linear interpolation.
 *
 * matrix: picture pixel -> pixel of the result. replicate: repeat the edge pixels beyond the border, instead of black.
 * Returns a picture of width x height.
 */
export function warped(picture, matrix, width, height, replicate) {
  const { width: wide, height: high, data } = picture;
  const back = inverted(matrix);
  const out = new Uint8ClampedArray(4 * width * height);
  const places = new Int32Array(2 * width);
  let to = 0;
  for (let y = 0; y < height; y++) {
    sourcePlaces(back, y, 0, width, places);
    for (let x = 0; x < width; x++, to += 4) {
      const u = places[2 * x] >> 5;
      const v = places[2 * x + 1] >> 5;
      const across = places[2 * x] & 31;
      const down = places[2 * x + 1] & 31;
      out[to + 3] = 255;
      if (!replicate && (u < -1 || v < -1 || u >= wide || v >= high)) continue;
      const left = Math.min(Math.max(u, 0), wide - 1);
      const right = Math.min(Math.max(u + 1, 0), wide - 1);
      const upper = Math.min(Math.max(v, 0), high - 1) * wide;
      const lower = Math.min(Math.max(v + 1, 0), high - 1) * wide;
      let a = (STEPS - across) * (STEPS - down);
      let b = across * (STEPS - down);
      let c = (STEPS - across) * down;
      let d = across * down;
      if (!replicate) {
        if (u < 0) a = c = 0;
        if (u + 1 >= wide) b = d = 0;
        if (v < 0) a = b = 0;
        if (v + 1 >= high) c = d = 0;
      }
      const i = 4 * (upper + left);
      const j = 4 * (upper + right);
      const k = 4 * (lower + left);
      const l = 4 * (lower + right);
      out[to] = (a * data[i] + b * data[j] + c * data[k] + d * data[l] + 512) >> 10;
      out[to + 1] = (a * data[i + 1] + b * data[j + 1] + c * data[k + 1] + d * data[l + 1] + 512) >> 10;
      out[to + 2] = (a * data[i + 2] + b * data[j + 2] + c * data[k + 2] + d * data[l + 2] + 512) >> 10;
    }
  }
  return { width, height, data: out };
}
