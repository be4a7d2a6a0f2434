// Resize pictures: by the mean of the covered pixels, linearly, and cubically, as OpenCV does.

import { rounded } from "./warp.js";

/** Return a part of a picture as a picture of its own. */
export function cropped(picture, left, top, width, height) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) {
    const from = 4 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 4 * width), 4 * y * width);
  }
  return { width, height, data };
}

/** Return a picture of half the size; an odd last row or column is left out. */
export function halved(picture) {
  const width = picture.width >> 1;
  const height = picture.height >> 1;
  const out = new Uint8ClampedArray(4 * width * height);
  const { data } = picture;
  const row = 4 * picture.width;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = 2 * y * row; x < width; x++, from += 8) {
      for (let c = 0; c < 4; c++, to++) {
        const i = from + c;
        out[to] = (data[i] + data[i + 4] + data[i + row] + data[i + row + 4] + 2) >> 2;
      }
    }
  }
  return { width, height, data: out };
}

/** Return a picture resized to width x height, each pixel the mean of what it covers; linear where it is enlarged. */
export function resizedByArea(picture, width, height) {
  if (width === picture.width && height === picture.height) return picture;
  if (width > picture.width || height > picture.height) {
    const columns = nearestPairs(picture.width, width, true);
    return { width, height, data: interpolated(picture, columns, nearestPairs(picture.height, height, true)) };
  }
  if (2 * width === picture.width && 2 * height === picture.height) return halved(picture);
  const columns = coveredPixels(picture.width, width);
  return { width, height, data: combined(picture, columns, coveredPixels(picture.height, height)) };
}

/** Return a picture whose pixels are the means of blocks of `factor` x `factor` pixels; blocks at the end may be cut. */
export function averagedDown(picture, factor) {
  const width = Math.max(1, rounded(picture.width / factor));
  const height = Math.max(1, rounded(picture.height / factor));
  const columns = blocks(picture.width, width, factor);
  // Of 2 x 2 pixels OpenCV rounds halves up, of others to the even number.
  const data = combined(picture, columns, blocks(picture.height, height, factor), factor === 2 ? 0.01 : 0);
  return { width, height, data };
}

/** Return a picture resized to width x height with linear interpolation. */
export function resizedLinearly(picture, width, height) {
  const columns = nearestPairs(picture.width, width, false);
  return { width, height, data: interpolated(picture, columns, nearestPairs(picture.height, height, false)) };
}

/** Return (side, side, channels) floats resized to (target, target, channels), as a mean when shrinking, else cubic. */
export function resizedFloats(values, side, channels, target) {
  if (side === target) return values;
  const taps = target < side ? coveredPixels(side, target) : cubicTaps(side, target);
  const wide = new Float32Array(side * target * channels);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < target; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = taps.first[x]; k < taps.first[x + 1]; k++) {
          sum += taps.weight[k] * values[(y * side + taps.index[k]) * channels + c];
        }
        wide[(y * target + x) * channels + c] = sum;
      }
    }
  }
  const out = new Float32Array(target * target * channels);
  const row = target * channels;
  for (let y = 0; y < target; y++) {
    for (let k = taps.first[y]; k < taps.first[y + 1]; k++) {
      const from = taps.index[k] * row;
      for (let x = 0; x < row; x++) out[y * row + x] += taps.weight[k] * wide[from + x];
    }
  }
  return out;
}

// Taps are the weighted source pixels of each target pixel: of target pixel i those from first[i] to first[i + 1].
function taps(length, list) {
  const first = new Int32Array(length + 1);
  const index = [];
  const weight = [];
  for (let i = 0; i < length; i++) {
    for (const [place, share] of list(i)) {
      index.push(place);
      weight.push(share);
    }
    first[i + 1] = index.length;
  }
  return { first, index: Int32Array.from(index), weight: Float32Array.from(weight) };
}

function coveredPixels(from, to) {
  const scale = from / to;
  return taps(to, (i) => {
    const low = i * scale;
    const high = Math.min(low + scale, from);
    const found = [];
    for (let k = Math.floor(low); k < high; k++) {
      const share = Math.min(k + 1, high) - Math.max(k, low);
      if (share > 1e-3) found.push([k, share / (high - low)]);
    }
    return found;
  });
}

function blocks(from, to, factor) {
  return taps(to, (i) => {
    const low = Math.min(i * factor, from - 1);
    const high = Math.min(low + factor, from);
    return Array.from({ length: high - low }, (_, k) => [low + k, 1 / (high - low)]);
  });
}

/** The first of the two source pixels of each target pixel, and their weights in 1/2048. */
function nearestPairs(from, to, area) {
  const scale = from / to;
  const places = { first: new Int32Array(to), weight: new Int32Array(2 * to), last: from - 1 };
  for (let i = 0; i < to; i++) {
    let place = Math.fround((i + 0.5) * scale - 0.5);
    let low = Math.floor(place);
    let share = Math.fround(place - low);
    if (area) {
      low = Math.floor(i * scale);
      place = Math.fround(i + 1 - (low + 1) / scale);
      share = place <= 0 ? 0 : Math.fround(place - Math.floor(place));
    }
    if (low < 0 || low >= from - 1) [low, share] = [Math.min(Math.max(low, 0), from - 1), 0];
    places.first[i] = low;
    places.weight[2 * i] = rounded(Math.fround(1 - share) * 2048);
    places.weight[2 * i + 1] = rounded(share * 2048);
  }
  return places;
}

/** Interpolate linearly with whole numbers, as OpenCV does with bytes. */
function interpolated(picture, columns, rows) {
  const { width, data } = picture;
  const wide = columns.first.length;
  const high = rows.first.length;
  const out = new Uint8ClampedArray(4 * wide * high);
  const across = (row, line) => {
    for (let x = 0; x < wide; x++) {
      const left = 4 * (row * width + columns.first[x]);
      const right = 4 * (row * width + Math.min(columns.first[x] + 1, columns.last));
      for (let c = 0; c < 4; c++) {
        line[4 * x + c] = data[left + c] * columns.weight[2 * x] + data[right + c] * columns.weight[2 * x + 1];
      }
    }
  };
  const upper = new Int32Array(4 * wide);
  const lower = new Int32Array(4 * wide);
  for (let y = 0; y < high; y++) {
    across(rows.first[y], upper);
    across(Math.min(rows.first[y] + 1, rows.last), lower);
    const [above, below] = rows.weight.subarray(2 * y, 2 * y + 2);
    const to = 4 * wide * y;
    for (let x = 0; x < 4 * wide; x++) {
      out[to + x] = (((above * (upper[x] >> 4)) >> 16) + ((below * (lower[x] >> 4)) >> 16) + 2) >> 2;
    }
  }
  return out;
}

/** The four weights of cubic interpolation (a = -0.75) at a fraction of a pixel. */
export function cubicWeights(share) {
  const a = -0.75;
  const first = ((a * (share + 1) - 5 * a) * (share + 1) + 8 * a) * (share + 1) - 4 * a;
  const second = ((a + 2) * share - (a + 3)) * share * share + 1;
  const third = ((a + 2) * (1 - share) - (a + 3)) * (1 - share) * (1 - share) + 1;
  return [first, second, third, 1 - first - second - third];
}

function cubicTaps(from, to) {
  const scale = from / to;
  return taps(to, (i) => {
    const place = (i + 0.5) * scale - 0.5;
    const low = Math.floor(place);
    const weights = cubicWeights(place - low);
    return weights.map((share, k) => [Math.min(Math.max(low - 1 + k, 0), from - 1), share]);
  });
}

function combined(picture, columns, rows, bias = 0) {
  const { width, data } = picture;
  const wide = columns.first.length - 1;
  const high = rows.first.length - 1;
  const out = new Uint8ClampedArray(4 * wide * high);
  // In single precision and in OpenCV's order, across and then down: else a pixel may be rounded otherwise.
  const line = new Float32Array(3 * wide);
  const sum = new Float32Array(3 * wide);
  for (let y = 0; y < high; y++) {
    sum.fill(bias);
    for (let k = rows.first[y]; k < rows.first[y + 1]; k++) {
      const row = width * rows.index[k];
      const down = rows.weight[k];
      line.fill(0);
      for (let x = 0; x < wide; x++) {
        for (let i = columns.first[x]; i < columns.first[x + 1]; i++) {
          const from = 4 * (row + columns.index[i]);
          const across = columns.weight[i];
          line[3 * x] += Math.fround(across * data[from]);
          line[3 * x + 1] += Math.fround(across * data[from + 1]);
          line[3 * x + 2] += Math.fround(across * data[from + 2]);
        }
      }
      for (let x = 0; x < 3 * wide; x++) sum[x] += Math.fround(down * line[x]);
    }
    for (let x = 0; x < wide; x++) {
      const to = 4 * (y * wide + x);
      out[to] = sum[3 * x];
      out[to + 1] = sum[3 * x + 1];
      out[to + 2] = sum[3 * x + 2];
      out[to + 3] = 255;
    }
  }
  return out;
}
