// Cut an upright square crop around a face, placed by its landmarks; as rac_unet/faces/align.py, which has the reasons.

import { averagedDown, windowOf } from "./resize.js";
import { inverted, transformed, warped } from "./warp.js";

// The landmarks that a mask leaves visible: ends of the jaw's outline, bridge of the nose, eyes.
const VISIBLE = [0, 1, 15, 16, 27, 28, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47];
const LEFT_JAW = [
  [0.149, 0.39],
  [0.153, 0.46],
];
const NOSE = [
  [0.5, 0.343],
  [0.5, 0.417],
];
const LEFT_EYE = [
  [0.275, 0.365],
  [0.31, 0.347],
  [0.363, 0.344],
  [0.415, 0.372],
  [0.37, 0.382],
  [0.318, 0.381],
];
const mirror = ([x, y]) => [1 - x, y];
const MEAN_FACE = [
  ...LEFT_JAW,
  ...[LEFT_JAW[1], LEFT_JAW[0]].map(mirror),
  ...NOSE,
  ...LEFT_EYE,
  ...[3, 2, 1, 0, 5, 4].map((i) => mirror(LEFT_EYE[i])),
];
const ZOOM = 0.915;
const TEMPLATE = MEAN_FACE.map(([x, y]) => [(x - 0.5) * ZOOM + 0.5, (y - 0.365) * ZOOM + 0.34]);

/**
 * Cut an upright crop around the 68 points of a face.
 *
 * Returns {crop, matrix}: crop is (size, size, 3) floats in [0, 1], matrix maps photo pixels to crop pixels.
 */
export function alignedFace(picture, points, size) {
  // No more of the photo than the crop can show: some are large, with many faces.
  const across = points.map(([x]) => x);
  const down = points.map(([, y]) => y);
  const low = [Math.min(...across), Math.min(...down)];
  const high = [Math.max(...across), Math.max(...down)];
  const margin = 2 * Math.max(high[0] - low[0], high[1] - low[1]);
  const x0 = Math.trunc(Math.max(low[0] - margin, 0));
  const y0 = Math.trunc(Math.max(low[1] - margin, 0));
  const x1 = Math.min(Math.trunc(Math.max(high[0] + margin, 1)), picture.width);
  const y1 = Math.min(Math.trunc(Math.max(high[1] + margin, 1)), picture.height);
  if (Math.min(x1 - x0, y1 - y0) < 1) return cutOut(picture, points, size);
  const near = windowOf(picture, x0, y0, x1 - x0, y1 - y0);
  const { crop, matrix } = cutOut(near, shifted(points, x0, y0), size);
  matrix[2] -= matrix[0] * x0 + matrix[1] * y0;
  matrix[5] -= matrix[3] * x0 + matrix[4] * y0;
  return { crop, matrix };
}

function shifted(points, x0, y0) {
  return points.map(([x, y]) => [Math.fround(x - x0), Math.fround(y - y0)]);
}

function cutOut(picture, points, size) {
  const target = TEMPLATE.map(([x, y]) => [x * size - 0.5, y * size - 0.5]);
  const matrix = fittedSimilarity(
    VISIBLE.map((i) => points[i]),
    target,
  );
  let photo = picture;
  let toCrop = matrix;
  const zoom = Math.hypot(matrix[0], matrix[1]);
  if (zoom < 0.5) {
    // Linear interpolation takes 2 x 2 pixels only; a large photo is first averaged down so that no pixel is skipped.
    const part = (width, height) => seenPart(matrix, size, picture, width, height);
    photo = averagedDown(picture, Math.floor(1 / zoom), part);
    const wide = picture.width / photo.width;
    const high = picture.height / photo.height;
    const [a, b, c, d, e, f] = matrix;
    const x = wide / 2 - 0.5;
    const y = high / 2 - 0.5;
    toCrop = [a * wide, b * high, c + a * x + b * y, d * wide, e * high, f + d * x + e * y];
  }
  const { data } = warped(photo, toCrop, size, size, true);
  const crop = new Float32Array(3 * size * size);
  for (let i = 0, k = 0; k < crop.length; i += 4, k += 3) {
    crop[k] = data[i] / 255;
    crop[k + 1] = data[i + 1] / 255;
    crop[k + 2] = data[i + 2] / 255;
  }
  return { crop, matrix: [...matrix] };
}

/** Return the part [x0, y0, x1, y1] of a picture, resized to width x height, that a crop is cut from. */
function seenPart(matrix, size, picture, width, height) {
  const back = inverted(matrix);
  const corners = [
    [0, 0],
    [size, 0],
    [0, size],
    [size, size],
  ].map((corner) => transformed(back, corner));
  const [left, right] = seenRange(
    corners.map(([x]) => (x * width) / picture.width),
    width,
  );
  const [top, bottom] = seenRange(
    corners.map(([, y]) => (y * height) / picture.height),
    height,
  );
  return [left, top, right, bottom];
}

function seenRange(places, length) {
  // Beyond the picture's border its outermost pixels are seen.
  const first = Math.min(Math.max(Math.floor(Math.min(...places)) - 2, 0), length - 1);
  return [first, Math.max(Math.min(Math.ceil(Math.max(...places)) + 3, length), first + 1)];
}

/** Return the rotation, uniform scale and shift from the source points to the target points, by least squares. */
export function fittedSimilarity(source, target) {
  const mean = (points, axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  const from = [mean(source, 0), mean(source, 1)];
  const to = [mean(target, 0), mean(target, 1)];
  let norm = 0;
  let cos = 0;
  let sin = 0;
  source.forEach(([x, y], i) => {
    const [u, v] = [x - from[0], y - from[1]];
    const [p, q] = [target[i][0] - to[0], target[i][1] - to[1]];
    norm += u * u + v * v;
    cos += u * p + v * q;
    sin += u * q - v * p;
  });
  norm = Math.max(norm, 1e-12);
  cos /= norm;
  sin /= norm;
  return [cos, -sin, to[0] - cos * from[0] + sin * from[1], sin, cos, to[1] - sin * from[0] - cos * from[1]];
}
