// Resample pictures by an affine matrix as OpenCV's warpAffine does, with its coordinates in steps of 1/32 pixel.
//
// A picture is {width, height, data}: RGBA bytes. A part of another one also has `stride`, its pixels from row to row.
// A matrix is [a, b, c, d, e, f]: x' = a x + b y + c, y' = d x + e y + f.

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

/** Return where row y of the result starts in the source, in 1/1024 pixels; `axis` is 0 for x and 1 for y. */
export function rowStart(back, axis, y) {
  return rounded((back[3 * axis + 1] * y + back[3 * axis + 2]) * 1024) + 16;
}

/** Return how far columns left to left + width of the result are from that start, in 1/1024 pixels. */
export function columnSteps(back, axis, left, width) {
  const steps = new Int32Array(width);
  for (let x = 0; x < width; x++) steps[x] = rounded(back[3 * axis] * (x + left) * 1024);
  return steps;
}

/**
 * Warp a picture with linear interpolation.
 *
 * matrix: picture pixel -> pixel of the result. replicate: repeat the edge pixels beyond the border, instead of black.
 * Returns a picture of width x height.
 */
export function warped(picture, matrix, width, height, replicate) {
  const { width: wide, height: high, data, stride = wide } = picture;
  const back = inverted(matrix);
  const stepsX = columnSteps(back, 0, 0, width);
  const stepsY = columnSteps(back, 1, 0, width);
  const out = new Uint8ClampedArray(4 * width * height);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const startX = rowStart(back, 0, y);
    const startY = rowStart(back, 1, y);
    for (let x = 0; x < width; x++, to += 4) {
      const placeX = (startX + stepsX[x]) >> 5;
      const placeY = (startY + stepsY[x]) >> 5;
      const u = placeX >> 5;
      const v = placeY >> 5;
      const across = placeX & 31;
      const down = placeY & 31;
      out[to + 3] = 255;
      let a = (STEPS - across) * (STEPS - down);
      let b = across * (STEPS - down);
      let c = (STEPS - across) * down;
      let d = across * down;
      let i = 4 * (v * stride + u);
      let j = i + 4;
      let k = i + 4 * stride;
      let l = k + 4;
      if (u < 0 || v < 0 || u + 1 >= wide || v + 1 >= high) {
        if (!replicate) {
          if (u < -1 || v < -1 || u >= wide || v >= high) continue;
          if (u < 0) a = c = 0;
          if (u + 1 >= wide) b = d = 0;
          if (v < 0) a = b = 0;
          if (v + 1 >= high) c = d = 0;
        }
        const left = Math.min(Math.max(u, 0), wide - 1);
        const right = Math.min(Math.max(u + 1, 0), wide - 1);
        const upper = Math.min(Math.max(v, 0), high - 1) * stride;
        const lower = Math.min(Math.max(v + 1, 0), high - 1) * stride;
        i = 4 * (upper + left);
        j = 4 * (upper + right);
        k = 4 * (lower + left);
        l = 4 * (lower + right);
      }
      out[to] = (a * data[i] + b * data[j] + c * data[k] + d * data[l] + 512) >> 10;
      out[to + 1] = (a * data[i + 1] + b * data[j + 1] + c * data[k + 1] + d * data[l + 1] + 512) >> 10;
      out[to + 2] = (a * data[i + 2] + b * data[j + 2] + c * data[k + 2] + d * data[l + 2] + 512) >> 10;
    }
  }
  return { width, height, data: out };
}
