// Search a photo for faces at several scales and rotations; as rac_unet/faces/search.py, which has the reasons.

import { area, sharedArea } from "./boxes.js";
import { cropped, halved, resizedByArea, resizedLinearly } from "./resize.js";
import { inverted, rounded, transformed, warped } from "./warp.js";

const WINDOW = 128;
const STEP = 96;
const ALWAYS = 2;
const DEEPEST = 6;
const ENOUGH = 384;
const SPARE = 1.2;
const SMALL = 48;
const TURNS = [90, -90, 30, -30, 180];
const LYING = [90, -90, 180];

/** A photo and its repeated halvings, each computed on first use. */
export class PicturePyramid {
  constructor(picture) {
    this.levels = [picture];
  }

  /** Return the smallest level whose longer side is at least `side`, and the photo's size relative to it. */
  atLeast(side) {
    let level = 0;
    let picture = this.levels[0];
    while (Math.max(picture.width, picture.height) >> 1 >= side && Math.min(picture.width, picture.height) > 1) {
      if (level + 1 === this.levels.length) this.levels.push(halved(picture));
      level++;
      picture = this.levels[level];
    }
    return [picture, 2 ** level];
  }

  /** Return the photo resized by `scale` <= 1. */
  fitted(scale) {
    const whole = this.levels[0];
    const wanted = Math.max(1, scale * Math.max(whole.width, whole.height));
    const [source, factor] = this.atLeast(SPARE * wanted);
    const width = Math.max(1, rounded(source.width * factor * scale));
    const height = Math.max(1, rounded(source.height * factor * scale));
    const near = Math.max(source.width, source.height) <= 2 * wanted;
    return near ? resizedLinearly(source, width, height) : resizedByArea(source, width, height);
  }
}

/** Return the boxes of all upright faces in a photo, searched as a whole and in windows. */
export async function searchWindows(pyramid, near, far) {
  const whole = pyramid.levels[0];
  let rows = await searchWhole(pyramid, near);
  if (!rows.length) rows = await searchSmall(pyramid, (small) => searchMirrored(small, near));
  const found = [...rows, ...(await searchWhole(pyramid, far))];
  const longest = Math.max(whole.width, whole.height);
  for (let level = 1; level <= DEEPEST; level++) {
    const scale = (WINDOW + STEP * (2 ** level - 1)) / longest;
    // Magnifying would add no detail.
    if (scale > 1) break;
    const smallest = Math.min(...found.map((row) => row[3] - row[1]));
    // The windows of the level before were twice as large in the photo.
    if (level > ALWAYS && found.length && (smallest * scale) / 2 > SMALL) break;
    found.push(...(await searchLevel(pyramid, scale, near)));
  }
  return distinctBoxes(found);
}

/** Return the boxes of faces that are rotated, found by rotating the photo; only by quarter turns if `lying`. */
export async function searchTurned(pyramid, detect, lying) {
  return searchSmall(pyramid, (small) => turned(small, detect, lying ? LYING : TURNS));
}

/** Return one row per face: of several boxes of one face, the first is kept. */
export function distinctBoxes(rows) {
  const kept = [];
  for (const row of rows) {
    const again = kept.some((other) => {
      const shared = sharedArea(row, other);
      const areas = [area(row), area(other)];
      const off = Math.hypot(row[1] + row[3] - other[1] - other[3], row[2] + row[4] - other[2] - other[4]) / 2;
      // By the smaller side: a large box that is a false detection must not suppress the faces inside it.
      return shared > 0.3 * (areas[0] + areas[1] - shared) || off < 0.35 * Math.sqrt(Math.min(...areas));
    });
    if (!again) kept.push(row);
  }
  return kept;
}

async function searchWhole(pyramid, detect) {
  const [picture, factor] = pyramid.atLeast(ENOUGH);
  return scaled(await detect(picture), factor);
}

async function searchSmall(pyramid, detect) {
  const [picture, factor] = pyramid.atLeast(ENOUGH);
  const scale = Math.min(1, ENOUGH / Math.max(picture.width, picture.height));
  return scaled(await detect(scale < 1 ? pyramid.fitted(scale / factor) : picture), factor / scale);
}

function scaled(rows, factor) {
  const single = Math.fround(factor);
  return rows.map((row) => row.map((value, k) => (k ? Math.fround(value * single) : value)));
}

/** Return the boxes detected in a photo with a mirrored border, for a face that fills it from edge to edge. */
async function searchMirrored(picture, detect) {
  const border = Math.floor(Math.max(picture.width, picture.height) / 3);
  const rows = await detect(withMirroredBorder(picture, border));
  const moved = rows.map((row) => row.map((value, k) => (k ? value - border : value)));
  return moved.filter((row) => {
    const x = (row[1] + row[3]) / 2;
    const y = (row[2] + row[4]) / 2;
    return x >= 0 && y >= 0 && x < picture.width && y < picture.height;
  });
}

function withMirroredBorder(picture, border) {
  const width = picture.width + 2 * border;
  const height = picture.height + 2 * border;
  const from = new Uint32Array(picture.data.buffer, picture.data.byteOffset, picture.width * picture.height);
  const to = new Uint32Array(width * height);
  const columns = Array.from({ length: width }, (_, x) => reflected(x - border, picture.width));
  for (let y = 0; y < height; y++) {
    const row = reflected(y - border, picture.height) * picture.width;
    for (let x = 0; x < width; x++) to[y * width + x] = from[row + columns[x]];
  }
  return { width, height, data: new Uint8ClampedArray(to.buffer) };
}

/** The index in 0..length-1 of a place beyond the border, mirrored without repeating the edge. */
export function reflected(place, length) {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const inside = ((place % period) + period) % period;
  return inside < length ? inside : period - inside;
}

async function turned(picture, detect, turns) {
  const { width, height } = picture;
  const found = [];
  for (const angle of turns) {
    const cos = Math.cos((angle * Math.PI) / 180);
    const sin = Math.sin((angle * Math.PI) / 180);
    const boxWidth = Math.abs(cos) * width + Math.abs(sin) * height;
    const boxHeight = Math.abs(sin) * width + Math.abs(cos) * height;
    const x = (width - 1) / 2;
    const y = (height - 1) / 2;
    const matrix = [cos, sin, (1 - cos) * x - sin * y, -sin, cos, sin * x + (1 - cos) * y];
    matrix[2] += (boxWidth - width) / 2;
    matrix[5] += (boxHeight - height) / 2;
    const canvas = warped(picture, matrix, Math.ceil(boxWidth - 1e-6), Math.ceil(boxHeight - 1e-6), false);
    const back = inverted(matrix);
    for (const row of await detect(canvas)) {
      const half = [(row[3] - row[1]) / 2, (row[4] - row[2]) / 2];
      const [centreX, centreY] = transformed(back, [(row[1] + row[3]) / 2, (row[2] + row[4]) / 2]);
      const eyes = [...transformed(back, [row[5], row[6]]), ...transformed(back, [row[7], row[8]])];
      // The box stays a square that is upright in the photo.
      const box = [centreX - half[0], centreY - half[0], centreX + half[0], centreY + half[0]];
      found.push([row[0], ...box, ...eyes]);
    }
  }
  // A face scores highest where it is upright.
  return distinctBoxes(found.sort((one, other) => other[0] - one[0]));
}

async function searchLevel(pyramid, scale, detect) {
  const small = pyramid.fitted(scale);
  const found = [];
  for (const top of starts(small.height)) {
    for (const left of starts(small.width)) {
      const width = Math.min(WINDOW, small.width - left);
      const height = Math.min(WINDOW, small.height - top);
      for (const row of await detect(cropped(small, left, top, width, height))) {
        // Cut by the window's edge: the next window, or the level before, shows the whole face.
        const cut =
          (row[1] < 0 && left > 0) ||
          (row[3] > width && left + width < small.width) ||
          (row[2] < 0 && top > 0) ||
          (row[4] > height && top + height < small.height);
        if (!cut) found.push(row.map((value, k) => (k ? Math.fround((value + (k % 2 ? left : top)) / scale) : value)));
      }
    }
  }
  return found;
}

/** Return the first pixels of windows along a side, evenly spaced, at most STEP apart. */
function starts(side) {
  const count = 1 + Math.max(0, Math.ceil((side - WINDOW) / STEP));
  return Array.from({ length: count }, (_, i) => rounded((i * Math.max(side - WINDOW, 0)) / Math.max(count - 1, 1)));
}
