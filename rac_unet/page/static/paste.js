// Paste a painted face into the photo, only inside the map, with a soft edge; as rac_unet/unmasking/pasting.py.

import { boxAround } from "./map.js";
import { cubicWeights, resizedFloats } from "./resize.js";
import { Detail, grainOf, levelShares, matchedSharpness, measured, missingGrain, skinAround } from "./texture.js";
import { columnSteps, inverted, rounded, rowStart, transformed } from "./warp.js";

const STRIP = 32;
const BLOCK = 64;
const GRAIN_PIXELS = 80000;
const HEADROOM = 32;
const LARGE = 2;
const ENLARGED = 3;
const TILE = 256;
const LEAST_WEIGHT = 1 / 255;
const CUBIC = Array.from({ length: 32 }, (_, i) => Float64Array.from(cubicWeights(i / 32)));
// Crop pixels around the map that count: resampling reads two pixels around, and sharpening two more.
const RESAMPLED = 3;
const SHARPENED = 5;

/**
 * Paste a painting in the light of the photo, with the sharpness and the grain of the skin around it, in place.
 *
 * photo: a picture, changed only inside the map. region: 1 where it may have been changed, an array of its pixels, or null.
 * painted, crop: (size, size, 3) floats in [0, 1]; crop is the part of the photo that was painted. where: of grownMap.
 * grain: standard normal noise, 256 x 256. texture: SteadyTexture of a face in a camera's frames, or null.
 * Returns the changed rectangle [x0, y0, x1, y1], or null.
 */
export function pastePainting(photo, region, painted, crop, where, size, matrix, grain, texture = null) {
  const kept = texture ? texture.kept : measured;
  const zoom = 1 / Math.hypot(matrix[0], matrix[1]);
  const around = boxAround(where.weight, size, SHARPENED);
  const box = bounds(where.weight, size, matrix, photo);
  if (!box) return null;
  const sharp = matchedSharpness(painted, crop, where.weight, size, zoom, around, kept);
  const weights = new WeightLayer(where.weight, size, matrix);
  const colours = new ColourLayer(sharp, where.weight, size, matrix);
  const amounts = kept("amounts", () => {
    const ring = skinAround(painted, crop, where.weight, where.ring);
    return lackedGrain(photo, colours, weights, { weight: where.weight, ring }, size, matrix);
  });
  // Grain has its place in a photo, whatever the map. In a camera's picture it moves with the face.
  pasteLayers(photo, region, colours, weights, box, grainOf(amounts, grain), texture ? box : [0, 0]);
  return box;
}

/** Blend colours into the box of a photo, in place, by the weights. tile: grain, or null; left, top: where it begins. */
function pasteLayers(photo, region, colours, weights, box, tile, [left, top]) {
  const [x0, y0, x1, y1] = box;
  const width = x1 - x0;
  const shift = x0 - left;
  const { data } = photo;
  const weight = new Float32Array(width);
  const colour = new Float32Array(3 * width);
  weights.over(x0, width);
  colours.over(x0, width);
  for (let y = y0; y < y1; y++) {
    weights.row(y, 0, width, weight);
    let first = 0;
    let end = width;
    while (first < end && weight[first] <= LEAST_WEIGHT) first++;
    while (end > first && weight[end - 1] <= LEAST_WEIGHT) end--;
    if (first === end) continue;
    colours.row(y, first, end, colour);
    const noise = ((y - top) % TILE) * TILE;
    let pixel = y * photo.width + x0 + first;
    for (let x = first, k = 3 * first; x < end; x++, k += 3, pixel++) {
      const share = weight[x];
      if (share <= LEAST_WEIGHT) continue;
      const more =
        tile === null ? 0 : tile[noise + ((x + shift) % TILE)] * Math.min((255 - colour[k + 1]) / HEADROOM, 1);
      const at = 4 * pixel;
      data[at] = data[at] + (colour[k] - data[at] + more) * share;
      data[at + 1] = data[at + 1] + (colour[k + 1] - data[at + 1] + more) * share;
      data[at + 2] = data[at + 2] + (colour[k + 2] - data[at + 2] + more) * share;
      if (region !== null) region[pixel] = 1;
    }
  }
}

/** A crop's resampling to the photo's pixels, row by row. */
class Layer {
  /** side: of the resized crop. */
  constructor(size, side, matrix) {
    this.side = side;
    const ratio = size / side;
    const back = inverted(matrix);
    const [a, b, c, d, e, f] = back.map((value, k) => (k % 3 < 2 ? value * ratio : value));
    const [p, q] = [(back[0] + back[1]) * (ratio / 2 - 0.5), (back[3] + back[4]) * (ratio / 2 - 0.5)];
    // OpenCV takes this matrix as the way to the photo, and inverts it.
    this.toCrop = inverted([a, b, c + p, d, e, f + q]);
  }

  /** Choose the photo's columns to which the rows below refer: `width` columns from x0 on. */
  over(x0, width) {
    this.stepsX = columnSteps(this.toCrop, 0, x0, width);
    this.stepsY = columnSteps(this.toCrop, 1, x0, width);
  }
}

/** A crop with one value in each pixel, 0 outside; averaged if the photo is coarser than the crop. */
class WeightLayer extends Layer {
  constructor(crop, size, matrix) {
    const zoom = 1 / Math.hypot(matrix[0], matrix[1]);
    const side = zoom < 0.75 ? Math.max(1, rounded(size * zoom)) : size;
    super(size, side, matrix);
    this.crop = resizedFloats(crop, size, 1, side);
  }

  /** Fill `out` with the values of columns first to end in row y. */
  row(y, first, end, out) {
    const { side, crop, stepsX, stepsY } = this;
    const startX = rowStart(this.toCrop, 0, y);
    const startY = rowStart(this.toCrop, 1, y);
    for (let x = first; x < end; x++) {
      const placeX = (startX + stepsX[x]) >> 5;
      const placeY = (startY + stepsY[x]) >> 5;
      const u = placeX >> 5;
      const v = placeY >> 5;
      if (u < -1 || v < -1 || u >= side || v >= side) {
        out[x] = 0;
        continue;
      }
      const at = v * side + u;
      const inner = u >= 0 && v >= 0 && u + 1 < side && v + 1 < side;
      if (inner && crop[at] === 1 && crop[at + 1] === 1 && crop[at + side] === 1 && crop[at + side + 1] === 1) {
        out[x] = 1;
        continue;
      }
      const left = u >= 0;
      const right = u + 1 < side;
      const upper = v >= 0;
      const lower = v + 1 < side;
      const p = (placeX & 31) / 32;
      const q = (placeY & 31) / 32;
      const above = (1 - p) * (left && upper ? crop[at] : 0) + p * (right && upper ? crop[at + 1] : 0);
      const below = (1 - p) * (left && lower ? crop[at + side] : 0) + p * (right && lower ? crop[at + side + 1] : 0);
      out[x] = (1 - q) * above + q * below;
    }
  }
}

/** The colours of a painting in [0, 255], valid inside the map: averaged, cubic, or enlarged and then linear. */
class ColourLayer extends Layer {
  constructor(painted, weight, size, matrix) {
    const zoom = 1 / Math.hypot(matrix[0], matrix[1]);
    const enlarged = zoom >= LARGE ? ENLARGED * size : size;
    const side = zoom < 0.75 ? Math.max(1, rounded(size * zoom)) : enlarged;
    super(size, side, matrix);
    this.cubic = side === size;
    const crop = new Float32Array(painted.length);
    for (let k = 0; k < crop.length; k++) crop[k] = 255 * painted[k];
    this.box = [0, 0, side, side];
    if (side > size) this.box = boxAround(weight, size, RESAMPLED).map((place) => ENLARGED * place);
    this.crop = resizedFloats(crop, size, 3, side, this.box);
    // Cubic interpolation overshoots.
    for (let k = 0; k < this.crop.length; k++) this.crop[k] = Math.min(Math.max(this.crop[k], 0), 255);
  }

  /** Fill `out` with the colours of columns first to end in row y. */
  row(y, first, end, out) {
    if (this.cubic) this.cubicRow(y, first, end, out);
    else this.linearRow(y, first, end, out);
  }

  cubicRow(y, first, end, out) {
    const { side, crop, stepsX, stepsY } = this;
    const startX = rowStart(this.toCrop, 0, y);
    const startY = rowStart(this.toCrop, 1, y);
    for (let x = first; x < end; x++) {
      const placeX = (startX + stepsX[x]) >> 5;
      const placeY = (startY + stepsY[x]) >> 5;
      const u = placeX >> 5;
      const v = placeY >> 5;
      const across = CUBIC[placeX & 31];
      const down = CUBIC[placeY & 31];
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let j = 0; j < 4; j++) {
        const line = Math.min(Math.max(v - 1 + j, 0), side - 1) * side;
        for (let i = 0; i < 4; i++) {
          const at = 3 * (line + Math.min(Math.max(u - 1 + i, 0), side - 1));
          const share = down[j] * across[i];
          red += share * crop[at];
          green += share * crop[at + 1];
          blue += share * crop[at + 2];
        }
      }
      out[3 * x] = Math.min(Math.max(red, 0), 255);
      out[3 * x + 1] = Math.min(Math.max(green, 0), 255);
      out[3 * x + 2] = Math.min(Math.max(blue, 0), 255);
    }
  }

  linearRow(y, first, end, out) {
    const { crop, stepsX, stepsY } = this;
    const [x0, y0, x1, y1] = this.box;
    const wide = x1 - x0;
    const lastX = wide - 1;
    const lastY = y1 - y0 - 1;
    const startX = rowStart(this.toCrop, 0, y);
    const startY = rowStart(this.toCrop, 1, y);
    for (let x = first, to = 3 * first; x < end; x++, to += 3) {
      const placeX = (startX + stepsX[x]) >> 5;
      const placeY = (startY + stepsY[x]) >> 5;
      const u = (placeX >> 5) - x0;
      const v = (placeY >> 5) - y0;
      const p = (placeX & 31) / 32;
      const q = (placeY & 31) / 32;
      let i = 3 * (v * wide + u);
      let j = i + 3;
      let k = i + 3 * wide;
      let l = k + 3;
      if (u < 0 || v < 0 || u >= lastX || v >= lastY) {
        const left = Math.min(Math.max(u, 0), lastX);
        const right = Math.min(Math.max(u + 1, 0), lastX);
        const upper = Math.min(Math.max(v, 0), lastY) * wide;
        const lower = Math.min(Math.max(v + 1, 0), lastY) * wide;
        i = 3 * (upper + left);
        j = 3 * (upper + right);
        k = 3 * (lower + left);
        l = 3 * (lower + right);
      }
      let above = crop[i] + p * (crop[j] - crop[i]);
      let below = crop[k] + p * (crop[l] - crop[k]);
      out[to] = above + q * (below - above);
      above = crop[i + 1] + p * (crop[j + 1] - crop[i + 1]);
      below = crop[k + 1] + p * (crop[l + 1] - crop[k + 1]);
      out[to + 1] = above + q * (below - above);
      above = crop[i + 2] + p * (crop[j + 2] - crop[i + 2]);
      below = crop[k + 2] + p * (crop[l + 2] - crop[k + 2]);
      out[to + 2] = above + q * (below - above);
    }
  }
}

function bounds(values, size, matrix, photo) {
  const crop = boxAround(values, size, 0);
  if (!crop) return null;
  const [left, top, right, bottom] = crop;
  const back = inverted(matrix);
  const corners = [
    [left - 1, top - 1],
    [right, top - 1],
    [right, bottom],
    [left - 1, bottom],
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
  const ring = Float32Array.from(where.ring);
  const both = where.weight.map((value, i) => value + ring[i]);
  const [x0, y0, x1, y1] = bounds(both, size, matrix, photo);
  const width = x1 - x0;
  const shares = levelShares(1 / Math.hypot(matrix[0], matrix[1]), size);
  const count = shares[0] ? shares.length : 0;
  const every = Math.max(1, Math.floor((width * (y1 - y0)) / GRAIN_PIXELS));
  const across = every === 1 ? width : BLOCK;
  const blocks = [];
  // Strips, or blocks in a diagonal pattern.
  for (let top = y0, number = 0; top < y1; top += STRIP, number++) {
    for (let left = across * (number % every); left < width; left += across * every) {
      blocks.push([left, top, Math.min(left + across, width), Math.min(top + STRIP, y1)]);
    }
  }
  const pixels = blocks.reduce((sum, [left, top, right, bottom]) => sum + (right - left) * (bottom - top), 0);
  const wanted = new Detail(count, pixels);
  const there = new Detail(count, pixels);
  const rings = new WeightLayer(ring, size, matrix);
  for (const layer of [rings, weights, colours]) layer.over(x0, width);
  const line = new Float32Array(width);
  const colour = new Float32Array(3 * width);
  const [grey, part] = [0, 1].map(() => new Float32Array(across * STRIP));
  const { data } = photo;
  for (const [left, top, right, bottom] of blocks) {
    const wide = right - left;
    if (marked(rings, 0.5, left, top, right, bottom, line, part)) {
      for (let y = top, to = 0; y < bottom; y++) {
        for (let at = 4 * (y * photo.width + x0 + left), n = 0; n < wide; n++, at += 4, to++) {
          grey[to] = (data[at] + data[at + 1] + data[at + 2]) / 3;
        }
      }
      wanted.add(grey, part, wide, bottom - top);
    }
    if (marked(weights, LEAST_WEIGHT, left, top, right, bottom, line, part)) {
      for (let y = top, to = 0; y < bottom; y++) {
        colours.row(y, left, right, colour);
        for (let k = 3 * left; k < 3 * right; k += 3, to++) grey[to] = (colour[k] + colour[k + 1] + colour[k + 2]) / 3;
      }
      there.add(grey, part, wide, bottom - top);
    }
  }
  return missingGrain(wanted, there, shares);
}

/** Fill `part` with 1 where a layer is above a limit in a block of the photo, else 0. Returns whether it is anywhere. */
function marked(layer, limit, left, top, right, bottom, line, part) {
  let any = false;
  for (let y = top, to = 0; y < bottom; y++) {
    layer.row(y, left, right, line);
    for (let x = left; x < right; x++, to++) {
      const inside = line[x] > limit;
      part[to] = Number(inside);
      any ||= inside;
    }
  }
  return any;
}
