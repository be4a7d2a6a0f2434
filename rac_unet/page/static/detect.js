// Find faces in a photo and place 468 landmarks on each; as rac_unet/faces/detect.py, which has the reasons.
//
// A face is {box: [x0, y0, x1, y1], score, trust, mesh, points}: mesh has x, y of 468 landmarks in photo pixels, points
// those of the 68 iBUG points.

import { FAR, findBoxes, NEAR } from "./boxes.js";
import { PicturePyramid, searchTurned, searchWindows } from "./search.js";
import { warped } from "./warp.js";

const MESH_TO_IBUG = [
  ...[127, 234, 93, 132, 58, 136, 150, 176, 152, 400, 379, 365, 288, 361, 323, 454, 356],
  ...[70, 63, 105, 66, 107, 336, 296, 334, 293, 300],
  ...[168, 197, 5, 4, 98, 97, 2, 326, 327],
  ...[33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380],
  ...[61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91],
  ...[78, 82, 13, 312, 308, 317, 14, 87],
];
const MESH_INPUT = 192;
const ROI_SCALE = 1.5;
const MIN_PRESENCE = 0.3;
const MIN_SCORE = 0.5;
const FAR_SHARE = 0.7;
// Size and shift upwards of the boxes at which the mesh network runs, in sides of the detector's box.
const VARIED_BOXES = [
  [1, 0],
  [1.12, 0],
  [1, 0.06],
];
const MIN_BOX = 14;
const DOUBTFUL = -0.4;
const SURE = 0.4;
const NOTHING = -9;
// Place of the detector's box relative to the eyes, in distances between them.
const BOX_BELOW_EYES = 0.617;
const BOX_PER_EYES = 2.52;

/** Finds faces with the networks `near`, `far` and `mesh`; run: (network, input) -> outputs by position. */
export class FaceDetector {
  constructor(run) {
    this.run = run;
  }

  /** Return all faces of a photo, including covered and small ones, largest first. */
  async detectAll(picture) {
    const pyramid = new PicturePyramid(picture);
    const far = (small) => findBoxes(this.run, FAR, small, MIN_SCORE * FAR_SHARE);
    const found = await this.facesAt(picture, await searchWindows(pyramid, this.near, far), DOUBTFUL);
    if (found.every((face) => face.trust < SURE)) {
      found.push(...(await this.facesAt(picture, await searchTurned(pyramid, this.near, false), SURE)));
    }
    return largestFirst(found);
  }

  /** Return lying or upside-down faces with more trust than any that was found upright. */
  async detectLying(picture, found) {
    const least = Math.max(NOTHING, ...found.map((face) => face.trust));
    // Below this the rotated photo has already been searched.
    if (least < SURE) return [];
    return (await this.detectTurned(picture, least)).filter((face) => face.trust > least);
  }

  /** Return lying or upside-down faces with at least this trust, largest first. */
  async detectTurned(picture, least = SURE) {
    const boxes = await searchTurned(new PicturePyramid(picture), this.near, true);
    return largestFirst(await this.facesAt(picture, boxes, least));
  }

  /** Return the face near the one of the frame before, with a single run of the mesh; null if it was lost. */
  async follow(picture, before) {
    const [left, right] = eyeCentres(before.points);
    const [box] = boxFromEyes(left, right);
    const [presence, mesh] = await this.meshAt(picture, [before.score, ...box, ...left, ...right]);
    return presence < MIN_PRESENCE ? null : faceOf([before.score, ...box], mesh, before.trust);
  }

  near = (picture) => findBoxes(this.run, NEAR, picture, MIN_SCORE);

  async facesAt(picture, boxes, least) {
    const found = [];
    for (const row of boxes) {
      if (Math.max(row[3] - row[1], row[4] - row[2]) < MIN_BOX) continue;
      let best = await this.meanMesh(picture, row);
      if (best.trust > NOTHING && best.trust < SURE) {
        // The detector's eyes and the mesh's disagree: run the mesh at a box around each, and keep the better.
        const detected = [
          [row[5], row[6]],
          [row[7], row[8]],
        ];
        for (const eyes of [detected, eyeCentres(ibugPoints(best.mesh))]) {
          const [box, half] = boxFromEyes(...eyes);
          if (2 * half < MIN_BOX) continue;
          const again = await this.meanMesh(picture, [row[0], ...box, ...eyes.flat()]);
          if (again.trust > best.trust) best = again;
        }
      }
      if (best.trust >= least) found.push(faceOf(row, best.mesh, best.trust));
    }
    return found;
  }

  /** Return the trust in a face, 1 at most, and the mean of its meshes at the varied boxes. */
  async meanMesh(picture, row) {
    const side = Math.max(row[3] - row[1], row[4] - row[2]);
    const x = (row[1] + row[3]) / 2;
    const y = (row[2] + row[4]) / 2;
    const found = [];
    for (const [size, up] of VARIED_BOXES) {
      const half = (side * size) / 2;
      const lift = side * up;
      const box = [x - half, y - half - lift, x + half, y + half - lift];
      found.push(await this.meshAt(picture, [row[0], ...box, ...row.slice(5)]));
    }
    const presence = found.map(([value]) => value);
    // One of the three may find a face by chance.
    if ([...presence].sort((one, other) => one - other)[1] < MIN_PRESENCE) return { trust: NOTHING, mesh: found[0][1] };
    const [first, second, third] = found.map(([, each]) => each);
    const mesh = first.map((value, k) => Math.fround(Math.fround(value + second[k]) + third[k]) / 3);
    const eyes = eyeCentres(ibugPoints(mesh));
    const middle = [(eyes[0][0] + eyes[1][0]) / 2, (eyes[0][1] + eyes[1][1]) / 2];
    const apart = found.map(([, each]) => {
      const [left, right] = eyeCentres(ibugPoints(each));
      return Math.hypot((left[0] + right[0]) / 2 - middle[0], (left[1] + right[1]) / 2 - middle[1]);
    });
    const elsewhere = eyes.map(([u, v], k) => Math.hypot(u - row[5 + 2 * k], v - row[6 + 2 * k]));
    const mean = (presence[0] + presence[1] + presence[2]) / 3;
    return { trust: mean - (4 * Math.max(...apart)) / side - (2 * Math.max(...elsewhere)) / side, mesh };
  }

  /** Return the probability of a face and x, y of its mesh in photo pixels, for a row of findBoxes. */
  async meshAt(picture, [, x0, y0, x1, y1, leftX, leftY, rightX, rightY]) {
    const angle = Math.atan2(rightY - leftY, rightX - leftX);
    // Square region around the box, turned so that the eyes are level -> the network's pixels.
    const zoom = MESH_INPUT / (ROI_SCALE * Math.max(x1 - x0, y1 - y0));
    const cos = Math.cos(angle) * zoom;
    const sin = Math.sin(angle) * zoom;
    const x = (x0 + x1) / 2;
    const y = (y0 + y1) / 2;
    const shiftX = MESH_INPUT / 2 - cos * x - sin * y;
    const shiftY = MESH_INPUT / 2 + sin * x - cos * y;
    const crop = warped(picture, [cos, sin, shiftX, -sin, cos, shiftY], MESH_INPUT, MESH_INPUT, false);
    const input = new Float32Array(MESH_INPUT * MESH_INPUT * 3);
    for (let i = 0, k = 0; k < input.length; i += 4, k += 3) {
      input[k] = crop.data[i] / 255;
      input[k + 1] = crop.data[i + 1] / 255;
      input[k + 2] = crop.data[i + 2] / 255;
    }
    const [raw, logit] = await this.run("mesh", input);
    const mesh = new Float32Array(2 * 468);
    const square = zoom * zoom;
    for (let i = 0; i < 468; i++) {
      const u = raw[3 * i] - shiftX;
      const v = raw[3 * i + 1] - shiftY;
      mesh[2 * i] = (cos * u - sin * v) / square;
      mesh[2 * i + 1] = (sin * u + cos * v) / square;
    }
    return [1 / (1 + Math.exp(-Math.min(Math.max(logit[0], -60), 60))), mesh];
  }
}

/** Centres [x, y] of both eyes, the image's left one first. */
export function eyeCentres(points) {
  return [36, 42].map((start) => {
    const eye = points.slice(start, start + 6);
    return [0, 1].map((axis) => eye.reduce((sum, point) => sum + point[axis], 0) / 6);
  });
}

function ibugPoints(mesh) {
  return MESH_TO_IBUG.map((vertex) => [mesh[2 * vertex], mesh[2 * vertex + 1]]);
}

function faceOf([score, ...box], mesh, trust) {
  return { box: box.slice(0, 4), score, trust, mesh, points: ibugPoints(mesh) };
}

function boxFromEyes(left, right) {
  const across = [right[0] - left[0], right[1] - left[1]];
  const x = (left[0] + right[0]) / 2 - BOX_BELOW_EYES * across[1];
  const y = (left[1] + right[1]) / 2 + BOX_BELOW_EYES * across[0];
  const half = (BOX_PER_EYES / 2) * Math.hypot(...across);
  return [[x - half, y - half, x + half, y + half], half];
}

function largestFirst(faces) {
  const kept = [];
  for (const face of [...faces].sort((one, other) => other.trust - one.trust)) {
    const [x, y] = eyesMiddle(face);
    const again = kept.some((other) => {
      const [u, v] = eyesMiddle(other);
      return Math.hypot(x - u, y - v) <= 0.35 * (other.box[2] - other.box[0]);
    });
    if (!again) kept.push(face);
  }
  return kept.sort((one, other) => other.box[2] - other.box[0] - (one.box[2] - one.box[0]));
}

function eyesMiddle(face) {
  const [left, right] = eyeCentres(face.points);
  return [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
}
