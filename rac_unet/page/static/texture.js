// Match the sharpness and the grain of a painting to the skin around it; as rac_unet/unmasking/painting/texture.py.

import { median, ranked } from "./rank.js";
import { reflected } from "./search.js";

const SKIN = 0.2;
const LEAST_SKIN = 0.2;
const EDGES = 0.1;
const MOST_SHARPENING = 0.4;
// End, side and middle of a line of 5.
const SOFT = [1 / 16, 4 / 16, 6 / 16];
const LEVELS = 4;
const SMALL_FACE = 128;
const LEAST_GRAIN = 0.3;
const MOST_GRAIN = [6, 5, 3.5, 3.5];
const MOST_SCALE = [2.5, 3];
const RESPONSE = [
  [1, 0.234, 0.058, 0.015],
  [0.5, 0.401, 0.164, 0.05],
  [0.25, 0.351, 0.335, 0.157],
  [0.125, 0.223, 0.342, 0.328],
];
// Filters of 3 x 3.
const NOISE_FILTER = { middle: 4 / 6, side: -2 / 6, corner: 1 / 6 };
const TEXTURE_FILTER = { middle: 12 / Math.sqrt(164), side: -2 / Math.sqrt(164), corner: -1 / Math.sqrt(164) };
const QUIET = 0.25;
const QUIET_NORMAL = 0.3186;
const FEWEST = 64;
const MOST_MEASURED = 20000;
const GRAIN_SIDE = 256;
// In a camera's picture, texture is measured in every so many frames, and the new value counts this much.
const MEASURED_EVERY = 10;
const NEW_SHARE = 0.5;

/** The texture of a face that is painted frame after frame: measured in some frames and averaged, so that it is steady. */
export class SteadyTexture {
  constructor() {
    this.values = new Map();
    this.frame = 0;
  }

  /** Go on to the next frame. */
  next() {
    this.frame++;
  }

  /** Return the numbers of a name, measured in this frame or before; measure: function that returns them. */
  kept = (name, measure) => {
    const before = this.values.get(name);
    if (before && this.frame % MEASURED_EVERY) return before;
    const now = measure();
    this.values.set(name, before ? averaged(before, now) : now);
    return this.values.get(name);
  };
}

function averaged(before, now) {
  const longer = before.length > now.length ? before : now;
  return longer.map((_, i) => NEW_SHARE * (now[i] ?? 0) + (1 - NEW_SHARE) * (before[i] ?? 0));
}

/** Measures what SteadyTexture keeps, every time. */
export function measured(_name, measure) {
  return measure();
}

/** Return the part of the ring with skin, 0 or 1; painted and crop are (size, size, 3) floats. */
export function skinAround(painted, crop, weight, ring) {
  let solid = 0;
  for (let i = 0; i < weight.length; i++) solid += Number(weight[i] === 1);
  if (!solid) return ring;
  const every = 1 + Math.floor(solid / 2000);
  const some = [0, 1, 2].map(() => new Float32Array(Math.ceil(solid / every)));
  for (let i = 0, n = 0; i < weight.length; i++) {
    if (weight[i] !== 1) continue;
    if (n % every === 0) for (let c = 0; c < 3; c++) some[c][n / every] = painted[3 * i + c];
    n++;
  }
  const [red, green, blue] = some.map(median);
  let known = 0;
  let alike = 0;
  const out = new Uint8Array(ring.length);
  for (let i = 0; i < ring.length; i++) {
    if (!ring[i]) continue;
    known++;
    const off = Math.max(Math.abs(crop[3 * i] - red), Math.abs(crop[3 * i + 1] - green));
    if (Math.max(off, Math.abs(crop[3 * i + 2] - blue)) >= SKIN) continue;
    out[i] = 1;
    alike++;
  }
  return alike >= LEAST_SKIN * known ? out : ring;
}

/**
 * Return the painting with edges as sharp as those of the photo; zoom: photo pixels per crop pixel.
 *
 * box: [x0, y0, x1, y1] around the map; pixels outside it are as painted. kept: see SteadyTexture.
 */
export function matchedSharpness(painted, crop, weight, size, zoom, box, kept = measured) {
  const strength = Math.min(Math.max(2 * (zoom - 1), 0), 1);
  if (!strength) return painted;
  const soft = softened(painted, size, box);
  const gain = strength * kept("gain", () => [sharpeningGain(painted, soft, crop, weight, size)])[0];
  if (!gain) return painted;
  const out = Float32Array.from(painted);
  const [x0, y0, x1, y1] = box;
  for (let y = y0; y < y1; y++) {
    for (let k = 3 * (y * size + x0); k < 3 * (y * size + x1); k++) {
      out[k] = Math.min(Math.max(painted[k] + gain * (painted[k] - soft[k]), 0), 1);
    }
  }
  return out;
}

/** Return by how much the difference to the softened painting is to be amplified: below 0 to blur; 0 if it is unknown. */
function sharpeningGain(painted, soft, crop, weight, size) {
  const inside = sharesOf(weight, 1, size);
  const wanted = edgeSharpness(crop, sharesOf(weight, 0, size), size);
  const there = edgeSharpness(painted, inside, size);
  const least = edgeSharpness(soft, inside, size);
  if (Number.isNaN(wanted + there + least) || there <= least) return 0;
  return Math.min(Math.max((wanted - there) / (there - least), -1), MOST_SHARPENING);
}

/** Return for each level the share of its missing detail that is added; zoom: photo pixels per crop pixel. */
export function levelShares(zoom, size) {
  const times = (zoom * size) / SMALL_FACE;
  const coarser = Array.from({ length: LEVELS - 1 }, (_, level) => times / 2 ** level - 1);
  const shares = [2 * (times - 1), ...coarser].map((share) => Math.min(Math.max(share, 0), 1));
  return shares.slice(0, Math.max(1, shares.filter((share) => share > 0).length));
}

/** The detail of a part of a picture, gathered from blocks of it: camera noise, then texture at each level. */
export class Detail {
  /** levels: number of levels with texture. most: most pixels of all blocks together. */
  constructor(levels, most) {
    this.values = Array.from({ length: levels + 1 }, (_, n) => new Float32Array(most >> (2 * Math.max(n - 1, 0))));
    this.counts = this.values.map(() => 0);
  }

  /** Add a block of grey values; where: 1 in the part, else 0. */
  add(grey, where, width, height) {
    this.measure(0, NOISE_FILTER, grey, where, width, height);
    let level = { grey, share: where, width, height };
    for (let n = 1; n < this.values.length && Math.min(level.width, level.height) >= 3; n++) {
      this.measure(n, TEXTURE_FILTER, level.grey, level.share, level.width, level.height);
      if (n + 1 === this.values.length) break;
      level = {
        grey: halvedFloats(level.grey, level.width, level.height),
        share: halvedFloats(level.share, level.width, level.height),
        width: level.width >> 1,
        height: level.height >> 1,
      };
    }
  }

  measure(n, filter, grey, share, width, height) {
    const values = this.values[n];
    let count = this.counts[n];
    for (let y = 1; y < height - 1; y++) {
      for (let at = y * width + 1; at < (y + 1) * width - 1; at++) {
        if (share[at] > 0.99) values[count++] = Math.abs(filteredAt(grey, width, at, filter));
      }
    }
    this.counts[n] = count;
  }

  /** Return the standard deviation of the camera noise. */
  noise() {
    return median(this.some(0)) / 0.6745;
  }

  /** Return the standard deviation of the texture at a level, 0 the finest. */
  texture(level) {
    const some = this.some(level + 1);
    return ranked(some, Math.floor(QUIET * some.length)) / QUIET_NORMAL;
  }

  some(n) {
    const every = 1 + Math.floor(this.counts[n] / MOST_MEASURED);
    const out = new Float32Array(Math.ceil(this.counts[n] / every));
    for (let i = 0; i < out.length; i++) out[i] = this.values[n][i * every];
    return out;
  }
}

/** Return the standard deviations of the noise of each level that a painting lacks; wanted and there: Details. */
export function missingGrain(wanted, there, shares) {
  const few = wanted.counts.findIndex((count, n) => Math.min(count, there.counts[n]) < FEWEST);
  const measured = few < 0 ? wanted.counts.length : few;
  if (!measured) return [0];
  const noise = wanted.noise();
  const goals = Array.from({ length: measured - 1 }, (_, level) => {
    const most = Math.min(wanted.texture(level), (MOST_SCALE[level] ?? Number.POSITIVE_INFINITY) * (noise + 0.2));
    return shares[level] * (most ** 2 - there.texture(level) ** 2);
  });
  if (!goals.length) goals.push(0);
  goals[0] += (1 - shares[0]) * (noise ** 2 - there.noise() ** 2);
  const amounts = goals.map(() => 0);
  for (let sweep = 0; sweep < 4; sweep++) {
    goals.forEach((goal, level) => {
      const others = amounts.reduce((sum, amount, n) => sum + (n === level ? 0 : amount * RESPONSE[level][n] ** 2), 0);
      const lacking = Math.max((goal - others) / RESPONSE[level][level] ** 2, 0);
      amounts[level] = Math.min(lacking, MOST_GRAIN[level] ** 2);
    });
  }
  return amounts.map((amount) => (amount >= LEAST_GRAIN ** 2 ? Math.sqrt(amount) : 0));
}

const grains = new WeakMap();

/** Return (256, 256) floats, noise with these standard deviations per level; null for none. tile: white noise. */
export function grainOf(amounts, tile) {
  if (!amounts.some(Boolean)) return null;
  if (grains.has(amounts)) return grains.get(amounts);
  const out = new Float32Array(GRAIN_SIDE * GRAIN_SIDE);
  amounts.forEach((amount, level) => {
    if (!amount) return;
    const noise = noiseAt(level, tile);
    for (let i = 0; i < out.length; i++) out[i] += amount * noise[i];
  });
  grains.set(amounts, out);
  return out;
}

const noises = new WeakMap();

/** Return white noise of a level at full size: the tile's corner, enlarged. */
function noiseAt(level, tile) {
  if (!noises.has(tile)) noises.set(tile, []);
  const found = noises.get(tile);
  if (!found[level]) {
    let side = GRAIN_SIDE >> level;
    let noise = new Float32Array(side * side);
    for (let y = 0; y < side; y++) noise.set(tile.subarray(y * GRAIN_SIDE, y * GRAIN_SIDE + side), y * side);
    for (; side < GRAIN_SIDE; side *= 2) noise = doubled(noise, side);
    found[level] = noise;
  }
  return found[level];
}

/** Enlarge a square tile by 2 with linear interpolation; the last pixel is next to the first. */
function doubled(values, side) {
  const wide = 2 * side;
  const other = Int32Array.from({ length: wide }, (_, k) => (k % 2 ? (k >> 1) + 1 : (k >> 1) - 1 + side) % side);
  const out = new Float32Array(wide * wide);
  for (let y = 0; y < wide; y++) {
    const row = y >> 1;
    const otherRow = other[y];
    for (let x = 0; x < wide; x++) {
      const column = x >> 1;
      const otherColumn = other[x];
      const above = 0.75 * values[row * side + column] + 0.25 * values[row * side + otherColumn];
      const below = 0.75 * values[otherRow * side + column] + 0.25 * values[otherRow * side + otherColumn];
      out[y * wide + x] = 0.75 * above + 0.25 * below;
    }
  }
  return out;
}

/** Return the share of each block of 2 x 2 pixels whose weight has this value. */
function sharesOf(weight, value, size) {
  const equal = new Float32Array(size * size);
  for (let i = 0; i < equal.length; i++) equal[i] = Number(weight[i] === value);
  return halvedFloats(equal, size, size);
}

/** Return the fine detail over the coarser detail at the strongest edges of a part; NaN if it is too small. */
function edgeSharpness(image, share, size) {
  const grey = new Float32Array(size * size);
  for (let i = 0, k = 0; i < grey.length; i++, k += 3) grey[i] = (image[k] + image[k + 1] + image[k + 2]) / 3;
  const half = size >> 1;
  const small = halvedFloats(grey, size, size);
  const coarse = new Float32Array(half * half);
  const fine = new Float32Array(half * half);
  let count = 0;
  for (let y = 1; y < half - 1; y++) {
    for (let x = 1; x < half - 1; x++) {
      if (share[y * half + x] <= 0.99) continue;
      coarse[count] = Math.abs(filteredAt(small, half, y * half + x, TEXTURE_FILTER));
      const at = 2 * y * size + 2 * x;
      const upper = Math.abs(filteredAt(grey, size, at, TEXTURE_FILTER));
      const lower = Math.abs(filteredAt(grey, size, at + size, TEXTURE_FILTER));
      const right = Math.abs(filteredAt(grey, size, at + 1, TEXTURE_FILTER));
      fine[count] = (upper + lower + right + Math.abs(filteredAt(grey, size, at + size + 1, TEXTURE_FILTER))) / 4;
      count++;
    }
  }
  if (count < FEWEST) return Number.NaN;
  const least = ranked(coarse.slice(0, count), Math.floor((1 - EDGES) * count));
  let [above, below] = [0, 0];
  for (let n = 0; n < count; n++) {
    if (coarse[n] < least) continue;
    above += fine[n];
    below += coarse[n];
  }
  return below ? above / below : Number.NaN;
}

/** Blur (size, size, 3) floats by the binomial filter of 5 x 5, mirrored at the border; only the box is computed. */
function softened(image, size, [x0, y0, x1, y1]) {
  const across = new Float32Array(image.length);
  const out = new Float32Array(image.length);
  const places = Int32Array.from({ length: size + 4 }, (_, i) => reflected(i - 2, size));
  const [ends, sides, middle] = SOFT;
  for (let y = Math.max(y0 - 2, 0); y < Math.min(y1 + 2, size); y++) {
    for (let x = x0; x < x1; x++) {
      const row = y * size;
      const a = 3 * (row + places[x]);
      const b = 3 * (row + places[x + 1]);
      const d = 3 * (row + places[x + 3]);
      const e = 3 * (row + places[x + 4]);
      for (let c = 0, at = 3 * (row + x); c < 3; c++, at++) {
        across[at] = ends * (image[a + c] + image[e + c]) + sides * (image[b + c] + image[d + c]) + middle * image[at];
      }
    }
  }
  for (let y = y0; y < y1; y++) {
    const a = 3 * size * (places[y] - y);
    const b = 3 * size * (places[y + 1] - y);
    const d = 3 * size * (places[y + 3] - y);
    const e = 3 * size * (places[y + 4] - y);
    for (let at = 3 * (y * size + x0); at < 3 * (y * size + x1); at++) {
      const near = sides * (across[at + b] + across[at + d]);
      out[at] = ends * (across[at + a] + across[at + e]) + near + middle * across[at];
    }
  }
  return out;
}

function filteredAt(grey, width, at, filter) {
  const up = at - width;
  const down = at + width;
  const sides = grey[up] + grey[down] + grey[at - 1] + grey[at + 1];
  const corners = grey[up - 1] + grey[up + 1] + grey[down - 1] + grey[down + 1];
  return filter.middle * grey[at] + filter.side * sides + filter.corner * corners;
}

function halvedFloats(values, width, height) {
  const half = width >> 1;
  const out = new Float32Array(half * (height >> 1));
  for (let y = 0, to = 0; y < height >> 1; y++) {
    for (let x = 0, at = 2 * y * width; x < half; x++, at += 2, to++) {
      out[to] = (values[at] + values[at + 1] + values[at + width] + values[at + width + 1]) / 4;
    }
  }
  return out;
}
