// Match the sharpness and the grain of a painting to the skin around it; as rac_unet/unmasking/painting/texture.py.

import { median } from "./light.js";

const SKIN = 0.2;
const LEAST_SKIN = 0.2;
const EDGES = 0.1;
const MOST_SHARPENING = 0.4;
const SOFT = [1, 4, 6, 4, 1].map((value) => value / 16);
const LEVELS = 4;
const SMALL_FACE = 128;
const LEAST_GRAIN = 0.3;
const MOST_GRAIN = [6, 3.5, 3.5, 3.5];
const MOST_SCALE = 2.5;
const RESPONSE = [
  [1, 0.233, 0.058, 0.014],
  [0.5, 0.482, 0.178, 0.051],
  [0.25, 0.36, 0.391, 0.164],
  [0.125, 0.226, 0.336, 0.377],
];
// Middle, side and corner of a filter of 3 x 3.
const NOISE_FILTER = [4 / 6, -2 / 6, 1 / 6];
const TEXTURE_FILTER = [12, -2, -1].map((value) => value / Math.sqrt(164));
const QUIET = 0.3;
const QUIET_NORMAL = 0.3853;
const FEWEST = 64;
const MOST_MEASURED = 20000;
const GRAIN_SIDE = 256;

/** Return the part of the ring with skin, 0 or 1; painted and crop are (size, size, 3) floats. */
export function skinAround(painted, crop, weight, ring) {
  const inside = [];
  for (let i = 0; i < weight.length; i++) if (weight[i] === 1) inside.push(i);
  if (!inside.length) return ring;
  const every = 1 + Math.floor(inside.length / 2000);
  const some = inside.filter((_, n) => n % every === 0);
  const skin = [0, 1, 2].map((c) => median(Float32Array.from(some, (i) => painted[3 * i + c])));
  let known = 0;
  let alike = 0;
  const out = Uint8Array.from(ring, (value, i) => {
    const red = Math.abs(crop[3 * i] - skin[0]);
    const green = Math.abs(crop[3 * i + 1] - skin[1]);
    const like = Number(value > 0 && Math.max(red, green, Math.abs(crop[3 * i + 2] - skin[2])) < SKIN);
    known += value;
    alike += like;
    return like;
  });
  return alike >= LEAST_SKIN * known ? out : ring;
}

/** Return the painting with edges as sharp as those of the photo; zoom: photo pixels per crop pixel. */
export function matchedSharpness(painted, crop, weight, size, zoom) {
  const strength = Math.min(Math.max(2 * (zoom - 1), 0), 1);
  if (!strength) return painted;
  const soft = softened(painted, size);
  const wanted = edgeSharpness(crop, (i) => weight[i] === 0, size);
  const there = edgeSharpness(painted, (i) => weight[i] === 1, size);
  const least = edgeSharpness(soft, (i) => weight[i] === 1, size);
  if (Number.isNaN(wanted + there + least) || there <= least) return painted;
  const gain = strength * Math.min(Math.max((wanted - there) / (there - least), -1), MOST_SHARPENING);
  return painted.map((value, k) => Math.min(Math.max(value + gain * (value - soft[k]), 0), 1));
}

/** Return for each level the share of its missing detail that is added; zoom: photo pixels per crop pixel. */
export function levelShares(zoom, size) {
  const finest = 2 * ((zoom * size) / SMALL_FACE - 1);
  const shares = [finest, ...Array.from({ length: LEVELS - 1 }, (_, level) => zoom / 2 ** level - 1)].map((share) =>
    Math.min(Math.max(share, 0), 1),
  );
  return shares.slice(0, Math.max(1, shares.filter((share) => share > 0).length));
}

/** Return the detail of a part of a grey picture: camera noise, then texture at each level. where: 0 or 1. */
export function measuredDetail(grey, where, width, height, count) {
  const found = [pickedDetail(grey, where, width, height, NOISE_FILTER)];
  let level = { grey, share: where, width, height };
  for (let n = 0; n < count && Math.min(level.width, level.height) >= 3; n++) {
    found.push(pickedDetail(level.grey, level.share, level.width, level.height, TEXTURE_FILTER));
    level = {
      grey: halvedFloats(level.grey, level.width, level.height),
      share: halvedFloats(level.share, level.width, level.height),
      width: level.width >> 1,
      height: level.height >> 1,
    };
  }
  return found;
}

/** Return the standard deviations of the noise of each level that a painting lacks; given lists of measuredDetail. */
export function missingGrain(wanted, there, shares) {
  const pairs = wanted.map((one, n) => [one, there[n]]);
  const few = pairs.findIndex(([one, other]) => Math.min(one.length, other.length) < FEWEST);
  if (few >= 0) pairs.length = few;
  if (!pairs.length) return [0];
  const [noise, ownNoise] = pairs[0].map((values) => median(someOf(values)) / 0.6745);
  const limit = MOST_SCALE * noise + MOST_SCALE / 5;
  const goals = pairs.slice(1).map(([one, other], level) => {
    const most = level ? textureDeviation(one) : Math.min(textureDeviation(one), limit);
    return shares[level] * (most ** 2 - textureDeviation(other) ** 2);
  });
  if (!goals.length) goals.push(0);
  goals[0] += (1 - shares[0]) * (noise ** 2 - ownNoise ** 2);
  const amounts = goals.map(() => 0);
  for (let sweep = 0; sweep < 4; sweep++) {
    goals.forEach((goal, level) => {
      const others = amounts.reduce((sum, amount, n) => sum + (n === level ? 0 : amount * RESPONSE[level][n] ** 2), 0);
      amounts[level] = Math.max((goal - others) / RESPONSE[level][level] ** 2, 0);
    });
  }
  return amounts.map((amount, level) => {
    const deviation = Math.min(Math.sqrt(amount), MOST_GRAIN[level]);
    return deviation >= LEAST_GRAIN ? deviation : 0;
  });
}

/** Return (256, 256) floats, noise with these standard deviations per level; null for none. tile: white noise. */
export function grainOf(amounts, tile) {
  if (!amounts.some(Boolean)) return null;
  const out = new Float32Array(GRAIN_SIDE * GRAIN_SIDE);
  amounts.forEach((amount, level) => {
    if (!amount) return;
    let side = GRAIN_SIDE >> level;
    let noise = Float32Array.from(
      { length: side * side },
      (_, i) => tile[Math.floor(i / side) * GRAIN_SIDE + (i % side)],
    );
    for (; side < GRAIN_SIDE; side *= 2) noise = doubled(noise, side);
    for (let i = 0; i < out.length; i++) out[i] += amount * noise[i];
  });
  return out;
}

/** Enlarge a square tile by 2 with linear interpolation; the last pixel is next to the first. */
function doubled(values, side) {
  const wide = 2 * side;
  const near = (k) => [k >> 1, (k % 2 ? (k >> 1) + 1 : (k >> 1) - 1 + side) % side];
  const out = new Float32Array(wide * wide);
  for (let y = 0; y < wide; y++) {
    const [row, otherRow] = near(y);
    for (let x = 0; x < wide; x++) {
      const [column, otherColumn] = near(x);
      const above = 0.75 * values[row * side + column] + 0.25 * values[row * side + otherColumn];
      const below = 0.75 * values[otherRow * side + column] + 0.25 * values[otherRow * side + otherColumn];
      out[y * wide + x] = 0.75 * above + 0.25 * below;
    }
  }
  return out;
}

/** Return the fine detail over the coarser detail at the strongest edges of a part; NaN if it is too small. */
function edgeSharpness(image, isInside, size) {
  const grey = new Float32Array(size * size);
  for (let i = 0; i < grey.length; i++) grey[i] = (image[3 * i] + image[3 * i + 1] + image[3 * i + 2]) / 3;
  const half = size >> 1;
  const small = halvedFloats(grey, size, size);
  const share = halvedFloats(
    Float32Array.from(grey, (_, i) => Number(isInside(i))),
    size,
    size,
  );
  const coarse = [];
  const fine = [];
  for (let y = 1; y < half - 1; y++) {
    for (let x = 1; x < half - 1; x++) {
      if (share[y * half + x] <= 0.99) continue;
      coarse.push(Math.abs(filteredAt(small, half, y * half + x, TEXTURE_FILTER)));
      const at = 2 * y * size + 2 * x;
      const four = [at, at + 1, at + size, at + size + 1];
      fine.push(four.reduce((sum, i) => sum + Math.abs(filteredAt(grey, size, i, TEXTURE_FILTER)) / 4, 0));
    }
  }
  if (coarse.length < FEWEST) return Number.NaN;
  const ranked = Float32Array.from(coarse).sort();
  const least = ranked[Math.floor((1 - EDGES) * ranked.length)];
  let [above, below] = [0, 0];
  coarse.forEach((value, n) => {
    if (Math.fround(value) < least) return;
    above += fine[n];
    below += value;
  });
  return below ? above / below : Number.NaN;
}

/** Blur (size, size, 3) floats by the binomial filter of 5 x 5, mirrored at the border. */
function softened(image, size) {
  const across = new Float32Array(image.length);
  const out = new Float32Array(image.length);
  const mirrored = (i) => (i < 0 ? -i : i >= size ? 2 * size - 2 - i : i);
  for (let k = 0; k < image.length; k++) {
    const row = 3 * size * Math.floor(k / (3 * size));
    const x = Math.floor((k - row) / 3);
    for (let i = 0; i < 5; i++) across[k] += SOFT[i] * image[row + 3 * mirrored(x + i - 2) + (k % 3)];
  }
  for (let k = 0; k < image.length; k++) {
    const y = Math.floor(k / (3 * size));
    for (let i = 0; i < 5; i++) out[k] += SOFT[i] * across[k + 3 * size * (mirrored(y + i - 2) - y)];
  }
  return out;
}

function pickedDetail(grey, where, width, height, filter) {
  const out = [];
  for (let y = 1; y < height - 1; y++) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at++) {
      if (where[at] > 0.99) out.push(filteredAt(grey, width, at, filter));
    }
  }
  return out;
}

function filteredAt(grey, width, at, [middle, side, corner]) {
  const [up, down] = [at - width, at + width];
  const sides = grey[up] + grey[down] + grey[at - 1] + grey[at + 1];
  return middle * grey[at] + side * sides + corner * (grey[up - 1] + grey[up + 1] + grey[down - 1] + grey[down + 1]);
}

function halvedFloats(values, width, height) {
  const half = width >> 1;
  const out = new Float32Array(half * (height >> 1));
  for (let i = 0; i < out.length; i++) {
    const at = 2 * Math.floor(i / half) * width + 2 * (i % half);
    out[i] = (values[at] + values[at + 1] + values[at + width] + values[at + width + 1]) / 4;
  }
  return out;
}

function textureDeviation(values) {
  const ranked = someOf(values).sort();
  return ranked[Math.floor(QUIET * ranked.length)] / QUIET_NORMAL;
}

function someOf(values) {
  const every = 1 + Math.floor(values.length / MOST_MEASURED);
  return Float32Array.from({ length: Math.ceil(values.length / every) }, (_, i) => Math.abs(values[i * every]));
}
