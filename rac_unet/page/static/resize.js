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

/** Return a part of a picture that shares its pixels, for `warped` and `averagedDown`, which know its stride. */
export function windowOf(picture, left, top, width, height) {
  const first = 4 * (top * picture.width + left);
  return { width, height, stride: picture.width, data: picture.data.subarray(first) };
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
  const rows = coveredPixels(picture.height, height);
  return { width, height, data: combined(picture, columns, rows, [0, 0, width, height], 0) };
}

/**
 * Return a picture whose pixels are the means of blocks of `factor` x `factor` pixels; blocks at the end may be cut.
 *
 * part: function (width, height) -> [x0, y0, x1, y1]: the pixels of the result that are needed; others are 0.
 */
export function averagedDown(picture, factor, part = undefined) {
  const width = Math.max(1, rounded(picture.width / factor));
  const height = Math.max(1, rounded(picture.height / factor));
  const needed = part?.(width, height) ?? [0, 0, width, height];
  const whole = needed[2] * factor <= picture.width && needed[3] * factor <= picture.height;
  // Of 2 x 2 pixels OpenCV rounds halves up, of others to the even number.
  const bias = factor === 2 ? 0.01 : 0;
  if (whole) {
    return { width, height, data: meansOfBlocks(picture, factor, width, height, needed, bias) };
  }
  const columns = blocks(picture.width, width, factor);
  return { width, height, data: combined(picture, columns, blocks(picture.height, height, factor), needed, bias) };
}

/** As `combined` for whole blocks: the same sums in the same order. */
function meansOfBlocks({ width: wide, data, stride = wide }, factor, width, height, [x0, y0, x1, y1], bias) {
  const out = new Uint8ClampedArray(4 * width * height);
  const { fround } = Math;
  const share = fround(1 / factor);
  const shares = Float32Array.from({ length: 256 }, (_, value) => share * value);
  for (let y = y0; y < y1; y++) {
    for (let x = x0; x < x1; x++) {
      let red = fround(bias);
      let green = fround(bias);
      let blue = fround(bias);
      for (let v = y * factor; v < (y + 1) * factor; v++) {
        let from = 4 * (v * stride + x * factor);
        const end = from + 4 * factor;
        let r = shares[data[from]];
        let g = shares[data[from + 1]];
        let b = shares[data[from + 2]];
        for (from += 4; from < end; from += 4) {
          r = fround(r + shares[data[from]]);
          g = fround(g + shares[data[from + 1]]);
          b = fround(b + shares[data[from + 2]]);
        }
        red = fround(red + fround(share * r));
        green = fround(green + fround(share * g));
        blue = fround(blue + fround(share * b));
      }
      const to = 4 * (y * width + x);
      out[to] = red;
      out[to + 1] = green;
      out[to + 2] = blue;
      out[to + 3] = 255;
    }
  }
  return out;
}

/** Return a picture resized to width x height with linear interpolation. */
export function resizedLinearly(picture, width, height) {
  const columns = nearestPairs(picture.width, width, false);
  return { width, height, data: interpolated(picture, columns, nearestPairs(picture.height, height, false)) };
}

/**
 * Return (side, side, channels) floats resized to (target, target, channels), as a mean when shrinking, else cubic.
 *
 * part: [x0, y0, x1, y1] in pixels of the result: only this part is computed and returned.
 */
export function resizedFloats(values, side, channels, target, part = [0, 0, target, target]) {
  if (side === target) return values;
  return combinedFloats(
    values,
    side,
    channels,
    knownTaps(target < side ? coveredPixels : cubicTaps, side, target),
    part,
  );
}

/** Return a part of (side, side, channels) floats enlarged to (target, target, channels) with linear interpolation. */
export function enlargedLinearly(values, side, channels, target, part) {
  return combinedFloats(values, side, channels, knownTaps(linearTaps, side, target), part);
}

function combinedFloats(values, side, channels, { first, index, weight }, [x0, y0, x1, y1]) {
  const row = (x1 - x0) * channels;
  const top = index[first[y0]];
  const bottom = index[first[y1] - 1] + 1;
  const wide = new Float32Array((bottom - top) * row);
  for (let y = top, to = 0; y < bottom; y++) {
    for (let x = x0; x < x1; x++) {
      const start = first[x];
      const count = first[x + 1] - start;
      if (count === 4) {
        // Without a loop over the taps, which takes several times as long.
        const one = (y * side + index[start]) * channels;
        const two = (y * side + index[start + 1]) * channels;
        const three = (y * side + index[start + 2]) * channels;
        const four = (y * side + index[start + 3]) * channels;
        for (let c = 0; c < channels; c++) {
          const left = weight[start] * values[one + c] + weight[start + 1] * values[two + c];
          wide[to++] = left + weight[start + 2] * values[three + c] + weight[start + 3] * values[four + c];
        }
        continue;
      }
      if (count === 2) {
        const one = (y * side + index[start]) * channels;
        const two = (y * side + index[start + 1]) * channels;
        for (let c = 0; c < channels; c++) {
          wide[to++] = weight[start] * values[one + c] + weight[start + 1] * values[two + c];
        }
        continue;
      }
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let k = start; k < start + count; k++) sum += weight[k] * values[(y * side + index[k]) * channels + c];
        wide[to++] = sum;
      }
    }
  }
  const out = new Float32Array((y1 - y0) * row);
  for (let y = y0, to = 0; y < y1; y++) {
    const start = first[y];
    if (first[y + 1] - start === 4) {
      // Four rows at a time, which spares most of the stores.
      const [a, b, c, d] = weight.subarray(start, start + 4);
      const one = (index[start] - top) * row;
      const two = (index[start + 1] - top) * row;
      const three = (index[start + 2] - top) * row;
      const four = (index[start + 3] - top) * row;
      for (let k = 0; k < row; k++, to++) {
        out[to] = a * wide[one + k] + b * wide[two + k] + c * wide[three + k] + d * wide[four + k];
      }
      continue;
    }
    if (first[y + 1] - start === 2) {
      const [a, b] = weight.subarray(start, start + 2);
      const one = (index[start] - top) * row;
      const two = (index[start + 1] - top) * row;
      // Rounded in between, as in the loop below.
      for (let k = 0; k < row; k++, to++) out[to] = Math.fround(a * wide[one + k]) + b * wide[two + k];
      continue;
    }
    for (let tap = start; tap < first[y + 1]; tap++) {
      const from = (index[tap] - top) * row;
      for (let k = 0; k < row; k++) out[to + k] += weight[tap] * wide[from + k];
    }
    to += row;
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

function linearTaps(from, to) {
  const scale = from / to;
  return taps(to, (i) => {
    const place = Math.min(Math.max((i + 0.5) * scale - 0.5, 0), from - 1);
    const low = Math.min(Math.floor(place), from - 2);
    return [
      [low, low + 1 - place],
      [low + 1, place - low],
    ];
  });
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

const known = new Map();

/** Return the taps of a crop's resizing, computed once. */
function knownTaps(kind, from, to) {
  const key = `${kind.name} ${from} ${to}`;
  if (!known.has(key)) known.set(key, kind(from, to));
  return known.get(key);
}

function combined(picture, columns, rows, [x0, y0, x1, y1], bias) {
  const { width, data, stride = width } = picture;
  const { first, index, weight } = columns;
  const wide = first.length - 1;
  const high = rows.first.length - 1;
  const out = new Uint8ClampedArray(4 * wide * high);
  const { fround } = Math;
  // In single precision and in OpenCV's order, across and then down: else a pixel may be rounded otherwise.
  const sum = new Float32Array(3 * wide);
  for (let y = y0; y < y1; y++) {
    sum.fill(bias);
    for (let k = rows.first[y]; k < rows.first[y + 1]; k++) {
      const row = stride * rows.index[k];
      const down = rows.weight[k];
      for (let x = x0; x < x1; x++) {
        let red = fround(0);
        let green = fround(0);
        let blue = fround(0);
        for (let i = first[x]; i < first[x + 1]; i++) {
          const from = 4 * (row + index[i]);
          const across = weight[i];
          red = fround(red + fround(across * data[from]));
          green = fround(green + fround(across * data[from + 1]));
          blue = fround(blue + fround(across * data[from + 2]));
        }
        sum[3 * x] += fround(down * red);
        sum[3 * x + 1] += fround(down * green);
        sum[3 * x + 2] += fround(down * blue);
      }
    }
    for (let x = x0; x < x1; x++) {
      const to = 4 * (y * wide + x);
      out[to] = sum[3 * x];
      out[to + 1] = sum[3 * x + 1];
      out[to + 2] = sum[3 * x + 2];
      out[to + 3] = 255;
    }
  }
  return out;
}
