// Paste a painted face into the photo, only inside the map, with a soft edge; as rac_unet/unmasking/pasting.py.

import { median } from "./light.js";
import { cubicWeights, resizedFloats } from "./resize.js";
import { inverted, rounded, sourcePlaces, transformed } from "./warp.js";

const STRIP = 32;
const GRAIN_PIXELS = 60000;
const LEAST_GRAIN = 0.3;
const MOST_GRAIN = 6;
const LARGE = 2;
const ENLARGED = 3;
const TILE = 256;
const CUBIC = Array.from({ length: 32 }, (_, i) => Float64Array.from(cubicWeights(i / 32)));

/**
 * Blend a painted crop into the photo, in place, at the photo's own resolution.
 *
 * photo: a picture, changed only inside the map. region: 1 where it may have been changed, an array of its pixels, or null.
 * painted: (size, size, 3) floats in [0, 1]. where: {weight, ring} of grownMap. grain: standard normal noise, 256 x 256.
 * Returns the changed rectangle [x0, y0, x1, y1], or null.
 */
export function pasteFace(photo, region, painted, where, size, matrix, grain) {
  const box = bounds(where.weight, size, matrix, photo);
  if (!box) return null;
  const weights = new Layer(where.weight, size, 1, matrix, false);
  const colours = new Layer(
    painted.map((value) => 255 * value),
    size,
    3,
    matrix,
    true,
  );
  const amount = missingGrain(photo, colours, weights, where, size, matrix);
  const [x0, y0, x1, y1] = box;
  const width = x1 - x0;
  const weight = new Float32Array(width);
  const colour = new Float32Array(3 * width);
  for (let y = y0; y < y1; y++) {
    weights.row(y, x0, width, weight);
    if (!weight.some((value) => value > 1 / 255)) continue;
    colours.row(y, x0, width, colour);
    const noise = ((y - y0) % TILE) * TILE;
    for (let x = 0; x < width; x++) {
      if (!(weight[x] > 1 / 255)) continue;
      const pixel = y * photo.width + x0 + x;
      const more = amount ? amount * grain[noise + (x % TILE)] : 0;
      for (let c = 0; c < 3; c++) {
        const at = 4 * pixel + c;
        photo.data[at] = photo.data[at] + (colour[3 * x + c] - photo.data[at] + more) * weight[x];
      }
      if (region) region[pixel] = 1;
    }
  }
  return box;
}

/** A crop resampled to the photo's pixels, averaged if the photo is coarser than the crop. */
class Layer {
  constructor(crop, size, channels, matrix, cubic) {
    const back = inverted(matrix);
    const zoom = Math.hypot(back[0], back[1]);
    this.side = size;
    this.cubic = cubic;
    if (zoom < 0.75) {
      this.side = Math.max(1, rounded(size * zoom));
      this.cubic = false;
    } else if (zoom >= LARGE && cubic) {
      this.side = ENLARGED * size;
      this.cubic = false;
    }
    this.channels = channels;
    this.crop = resizedFloats(crop, size, channels, this.side);
    // Cubic interpolation overshoots.
    if (channels === 3) this.crop = this.crop.map((value) => Math.min(Math.max(value, 0), 255));
    const ratio = size / this.side;
    const [a, b, c, d, e, f] = back.map((value, k) => (k % 3 < 2 ? value * ratio : value));
    const [p, q] = [(back[0] + back[1]) * (ratio / 2 - 0.5), (back[3] + back[4]) * (ratio / 2 - 0.5)];
    // OpenCV takes this matrix as the way to the photo, and inverts it.
    this.toCrop = inverted([a, b, c + p, d, e, f + q]);
  }

  /** Fill `out` with the values of `width` photo pixels from x0 on in row y. Weights are 0 outside the crop. */
  row(y, x0, width, out) {
    const { toCrop, side, crop, channels } = this;
    this.places = this.places?.length >= 2 * width ? this.places : new Int32Array(2 * width);
    const places = sourcePlaces(toCrop, y, x0, width, this.places);
    const repeated = channels === 3;
    const inside = (value) => Math.min(Math.max(value, 0), side - 1);
    for (let x = 0; x < width; x++) {
      const u = places[2 * x] >> 5;
      const v = places[2 * x + 1] >> 5;
      const across = places[2 * x] & 31;
      const down = places[2 * x + 1] & 31;
      if (this.cubic) {
        for (let c = 0; c < 3; c++) {
          let sum = 0;
          for (let j = 0; j < 4; j++) {
            const line = inside(v - 1 + j) * side;
            let part = 0;
            for (let i = 0; i < 4; i++) part += CUBIC[across][i] * crop[3 * (line + inside(u - 1 + i)) + c];
            sum += CUBIC[down][j] * part;
          }
          out[3 * x + c] = Math.min(Math.max(sum, 0), 255);
        }
        continue;
      }
      if (!repeated && (u < -1 || v < -1 || u >= side || v >= side)) {
        out[x] = 0;
        continue;
      }
      const left = inside(u);
      const right = inside(u + 1);
      const upper = inside(v) * side;
      const lower = inside(v + 1) * side;
      let p = across / 32;
      let q = down / 32;
      let [a, b, s, t] = [(1 - p) * (1 - q), p * (1 - q), (1 - p) * q, p * q];
      if (!repeated) {
        if (u < 0) a = s = 0;
        if (u + 1 >= side) b = t = 0;
        if (v < 0) a = b = 0;
        if (v + 1 >= side) s = t = 0;
      }
      for (let c = 0; c < channels; c++) {
        out[channels * x + c] =
          a * crop[channels * (upper + left) + c] +
          b * crop[channels * (upper + right) + c] +
          s * crop[channels * (lower + left) + c] +
          t * crop[channels * (lower + right) + c];
      }
    }
  }
}

function bounds(values, size, matrix, photo) {
  let [left, top, right, bottom] = [size, size, -1, -1];
  values.forEach((value, i) => {
    if (!value) return;
    const x = i % size;
    const y = (i - x) / size;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  });
  if (right < 0) return null;
  const back = inverted(matrix);
  const corners = [
    [left - 1, top - 1],
    [right + 1, top - 1],
    [right + 1, bottom + 1],
    [left - 1, bottom + 1],
  ].map((corner) => transformed(back, corner));
  const across = corners.map(([x]) => x);
  const down = corners.map(([, y]) => y);
  const box = [
    Math.max(Math.floor(Math.min(...across)) - 1, 0),
    Math.max(Math.floor(Math.min(...down)) - 1, 0),
    Math.min(Math.ceil(Math.max(...across)) + 2, photo.width),
    Math.min(Math.ceil(Math.max(...down)) + 2, photo.height),
  ];
  return box[0] < box[2] && box[1] < box[3] ? box : null;
}

/** Return the standard deviation in grey levels of the grain that the painting lacks compared with the photo. */
function missingGrain(photo, colours, weights, where, size, matrix) {
  const rings = new Layer(Float32Array.from(where.ring), size, 1, matrix, false);
  const both = where.weight.map((value, i) => value + where.ring[i]);
  const [x0, y0, x1, y1] = bounds(both, size, matrix, photo);
  const width = x1 - x0;
  const every = Math.max(1, Math.floor((width * (y1 - y0)) / GRAIN_PIXELS));
  const there = [];
  const wanted = [];
  const line = new Float32Array(width);
  const colour = new Float32Array(3 * width);
  for (let top = y0; top < y1; top += STRIP * every) {
    const height = Math.min(STRIP, y1 - top);
    const photoGrey = new Float32Array(width * height);
    const paintGrey = new Float32Array(width * height);
    for (let y = 0; y < height; y++) {
      colours.row(top + y, x0, width, colour);
      for (let x = 0; x < width; x++) {
        const at = 4 * ((top + y) * photo.width + x0 + x);
        photoGrey[y * width + x] = (photo.data[at] + photo.data[at + 1] + photo.data[at + 2]) / 3;
        paintGrey[y * width + x] = (colour[3 * x] + colour[3 * x + 1] + colour[3 * x + 2]) / 3;
      }
    }
    for (let y = 1; y < height - 1; y++) {
      rings.row(top + y, x0, width, line);
      for (let x = 1; x < width - 1; x++) if (line[x] > 0.5) wanted.push(fineDetail(photoGrey, width, x, y));
      weights.row(top + y, x0, width, line);
      for (let x = 1; x < width - 1; x++) if (line[x] > 1 / 255) there.push(fineDetail(paintGrey, width, x, y));
    }
  }
  if (Math.min(there.length, wanted.length) < 64) return 0;
  const [least, most] = [deviation(there), deviation(wanted)];
  const amount = Math.min(Math.sqrt(Math.max(most ** 2 - least ** 2, 0)), MOST_GRAIN);
  return amount >= LEAST_GRAIN ? amount : 0;
}

/** The finest detail at a pixel, by the kernel of Immerkaer 1996; white noise is scaled by 6. */
function fineDetail(grey, width, x, y) {
  const at = y * width + x;
  const [up, down] = [at - width, at + width];
  const corners = grey[up - 1] + grey[up + 1] + grey[down - 1] + grey[down + 1];
  return corners - 2 * (grey[up] + grey[down] + grey[at - 1] + grey[at + 1]) + 4 * grey[at];
}

function deviation(fine) {
  const every = 1 + Math.floor(fine.length / 20000);
  const some = Float32Array.from({ length: Math.ceil(fine.length / every) }, (_, i) => Math.abs(fine[i * every]));
  return median(some) / 0.6745 / 6;
}
