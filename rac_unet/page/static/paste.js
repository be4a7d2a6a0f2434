// Paste a painted face into the photo, only inside the map, with a soft edge; as rac_unet/unmasking/pasting.py.

import { cubicWeights, resizedFloats } from "./resize.js";
import { grainOf, levelShares, matchedSharpness, measuredDetail, missingGrain, skinAround } from "./texture.js";
import { inverted, rounded, sourcePlaces, transformed } from "./warp.js";

const STRIP = 32;
const BLOCK = 64;
const GRAIN_PIXELS = 60000;
const HEADROOM = 32;
const LARGE = 2;
const ENLARGED = 3;
const TILE = 256;
const LEAST_WEIGHT = 1 / 255;
const CUBIC = Array.from({ length: 32 }, (_, i) => Float64Array.from(cubicWeights(i / 32)));

/**
 * Paste a painting in the light of the photo, with the sharpness and the grain of the skin around it, in place.
 *
 * crop: the crop of the photo that was painted, (size, size, 3) floats in [0, 1]; all others as for pasteFace.
 */
export function pastePainting(photo, region, painted, crop, where, size, matrix, grain) {
  const skin = skinAround(painted, crop, where.weight, where.ring);
  const sharp = matchedSharpness(painted, crop, where.weight, size, 1 / Math.hypot(matrix[0], matrix[1]));
  return pasteFace(photo, region, sharp, { weight: where.weight, ring: skin }, size, matrix, grain);
}

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
  const tile = grainOf(lackedGrain(photo, colours, weights, where, size, matrix), grain);
  const [x0, y0, x1, y1] = box;
  const width = x1 - x0;
  const weight = new Float32Array(width);
  const colour = new Float32Array(3 * width);
  for (let y = y0; y < y1; y++) {
    weights.row(y, x0, 0, width, weight);
    let first = 0;
    let end = width;
    while (first < end && weight[first] <= LEAST_WEIGHT) first++;
    while (end > first && weight[end - 1] <= LEAST_WEIGHT) end--;
    if (first === end) continue;
    colours.row(y, x0, first, end, colour);
    const noise = ((y - y0) % TILE) * TILE;
    for (let x = first; x < end; x++) {
      if (weight[x] <= LEAST_WEIGHT) continue;
      const pixel = y * photo.width + x0 + x;
      const more = tile ? tile[noise + (x % TILE)] * Math.min((255 - colour[3 * x + 1]) / HEADROOM, 1) : 0;
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
    if (channels === 3) {
      this.crop = new Float32Array(this.crop);
      for (let k = 0; k < this.crop.length; k++) this.crop[k] = Math.min(Math.max(this.crop[k], 0), 255);
    }
    const ratio = size / this.side;
    const [a, b, c, d, e, f] = back.map((value, k) => (k % 3 < 2 ? value * ratio : value));
    const [p, q] = [(back[0] + back[1]) * (ratio / 2 - 0.5), (back[3] + back[4]) * (ratio / 2 - 0.5)];
    // OpenCV takes this matrix as the way to the photo, and inverts it.
    this.toCrop = inverted([a, b, c + p, d, e, f + q]);
  }

  /** Fill `out` with the values of photo pixels x0 + first to x0 + end in row y. Weights are 0 outside the crop. */
  row(y, x0, first, end, out) {
    this.places = this.places?.length >= 2 * end ? this.places : new Int32Array(2 * end);
    sourcePlaces(this.toCrop, y, x0, end, this.places);
    if (this.cubic) this.cubicRow(first, end, out);
    else if (this.channels === 3) this.colourRow(first, end, out);
    else this.weightRow(first, end, out);
  }

  cubicRow(first, end, out) {
    const { side, crop, places } = this;
    const inside = (value) => Math.min(Math.max(value, 0), side - 1);
    for (let x = first; x < end; x++) {
      const u = places[2 * x] >> 5;
      const v = places[2 * x + 1] >> 5;
      const across = CUBIC[places[2 * x] & 31];
      const down = CUBIC[places[2 * x + 1] & 31];
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let j = 0; j < 4; j++) {
          const line = inside(v - 1 + j) * side;
          let part = 0;
          for (let i = 0; i < 4; i++) part += across[i] * crop[3 * (line + inside(u - 1 + i)) + c];
          sum += down[j] * part;
        }
        out[3 * x + c] = Math.min(Math.max(sum, 0), 255);
      }
    }
  }

  colourRow(first, end, out) {
    const { side, crop, places } = this;
    const last = side - 1;
    for (let x = first; x < end; x++) {
      const u = places[2 * x] >> 5;
      const v = places[2 * x + 1] >> 5;
      const p = (places[2 * x] & 31) / 32;
      const q = (places[2 * x + 1] & 31) / 32;
      const left = Math.min(Math.max(u, 0), last);
      const right = Math.min(Math.max(u + 1, 0), last);
      const upper = Math.min(Math.max(v, 0), last) * side;
      const lower = Math.min(Math.max(v + 1, 0), last) * side;
      const i = 3 * (upper + left);
      const j = 3 * (upper + right);
      const k = 3 * (lower + left);
      const l = 3 * (lower + right);
      for (let c = 0; c < 3; c++) {
        const above = crop[i + c] + p * (crop[j + c] - crop[i + c]);
        const below = crop[k + c] + p * (crop[l + c] - crop[k + c]);
        out[3 * x + c] = above + q * (below - above);
      }
    }
  }

  weightRow(first, end, out) {
    const { side, crop, places } = this;
    const at = (u, v) => (u < 0 || v < 0 || u >= side || v >= side ? 0 : crop[v * side + u]);
    for (let x = first; x < end; x++) {
      const u = places[2 * x] >> 5;
      const v = places[2 * x + 1] >> 5;
      if (u < -1 || v < -1 || u >= side || v >= side) {
        out[x] = 0;
        continue;
      }
      const p = (places[2 * x] & 31) / 32;
      const q = (places[2 * x + 1] & 31) / 32;
      const above = (1 - p) * at(u, v) + p * at(u + 1, v);
      const below = (1 - p) * at(u, v + 1) + p * at(u + 1, v + 1);
      out[x] = (1 - q) * above + q * below;
    }
  }
}

function bounds(values, size, matrix, photo) {
  let [left, top, right, bottom] = [size, size, -1, -1];
  for (let i = 0; i < values.length; i++) {
    if (!values[i]) continue;
    const x = i % size;
    const y = (i - x) / size;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
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

/** Return for each level the standard deviation in grey levels of the grain that the painting lacks. */
function lackedGrain(photo, colours, weights, where, size, matrix) {
  const rings = new Layer(Float32Array.from(where.ring), size, 1, matrix, false);
  const both = where.weight.map((value, i) => value + where.ring[i]);
  const [x0, y0, x1, y1] = bounds(both, size, matrix, photo);
  const width = x1 - x0;
  const shares = levelShares(1 / Math.hypot(matrix[0], matrix[1]), size);
  const count = shares[0] ? shares.length : 0;
  const every = Math.max(1, Math.floor((width * (y1 - y0)) / GRAIN_PIXELS));
  const across = every === 1 ? width : BLOCK;
  const there = [];
  const wanted = [];
  const line = new Float32Array(width);
  const colour = new Float32Array(3 * width);
  const add = (found, details) =>
    details.forEach((detail, n) => {
      found[n] = (found[n] ?? []).concat(detail);
    });
  // Strips, or blocks in a diagonal pattern.
  for (let top = y0, number = 0; top < y1; top += STRIP, number++) {
    for (let left = across * (number % every); left < width; left += across * every) {
      const end = Math.min(left + across, width);
      const [wide, height] = [end - left, Math.min(STRIP, y1 - top)];
      const [photoGrey, paintGrey, known, inside] = [0, 1, 2, 3].map(() => new Float32Array(wide * height));
      for (let y = 0; y < height; y++) {
        colours.row(top + y, x0, left, end, colour);
        for (let x = left; x < end; x++) {
          const at = 4 * ((top + y) * photo.width + x0 + x);
          photoGrey[y * wide + x - left] = (photo.data[at] + photo.data[at + 1] + photo.data[at + 2]) / 3;
          paintGrey[y * wide + x - left] = (colour[3 * x] + colour[3 * x + 1] + colour[3 * x + 2]) / 3;
        }
        rings.row(top + y, x0, left, end, line);
        for (let x = left; x < end; x++) known[y * wide + x - left] = Number(line[x] > 0.5);
        weights.row(top + y, x0, left, end, line);
        for (let x = left; x < end; x++) inside[y * wide + x - left] = Number(line[x] > LEAST_WEIGHT);
      }
      add(wanted, measuredDetail(photoGrey, known, wide, height, count));
      add(there, measuredDetail(paintGrey, inside, wide, height, count));
    }
  }
  return missingGrain(wanted, there, shares);
}
