// Follow faces from frame to frame of a camera and paint them, with few runs of the networks.

import { distinctBoxes } from "./search.js";
import { SteadyTexture } from "./texture.js";
import { EMOTIONS, isMasked } from "./unmask.js";

// New faces are looked for in every so many frames, emotions are read again in every so many.
const SEARCH_EVERY = 12;
const READ_EVERY = 15;
const MOST_FACES = 4;
const LEAST_LIVE_TRUST = 0;
// Light is compared at about this size, as in Python's clips.
const LIVE_LIGHT_SIZE = 64;
// Share of the new landmarks where a face hardly moves, so that it does not tremble; movement in shares of its box.
const STEADY = 0.35;
const MOVEMENT = 0.06;

export class FollowedFaces {
  constructor(unmasker) {
    this.unmasker = unmasker;
    this.faces = [];
    this.frames = 0;
  }

  /**
   * Paint the masked faces of a picture, in place.
   *
   * Returns {faces, masked, emotions, boxes}: how many, the emotions painted, the changed rectangles [x0, y0, x1, y1].
   */
  async paint(picture, emotion) {
    const { detector } = this.unmasker;
    const kept = [];
    for (const before of this.faces) {
      const face = await detector.follow(picture, before);
      if (face) kept.push({ ...before, ...steadied(face, before) });
    }
    this.faces = kept;
    if (!kept.length || this.frames % SEARCH_EVERY === 0) await this.searchNew(picture);
    let masked = 0;
    const emotions = [];
    const boxes = [];
    for (const face of this.faces) {
      const shown = this.wanted(face, emotion);
      const cut = await this.unmasker.cut(picture, face, face.points, shown);
      if (!isMasked(cut)) continue;
      if (emotion === "auto" && this.unmasker.reads && (!face.read || this.frames % READ_EVERY === 0)) {
        face.read = (await this.unmasker.readEmotion(cut))[0];
      }
      emotions.push(this.wanted(face, emotion));
      // An emotion that was read just now is painted from the next frame on: the network runs once in a frame.
      const painted = await this.unmasker.paint(cut, shown, LIVE_LIGHT_SIZE);
      face.texture ??= new SteadyTexture();
      const box = this.unmasker.paste(picture, null, cut, painted, face.texture);
      if (box) boxes.push(box);
      face.texture.next();
      masked++;
    }
    this.frames++;
    return { faces: this.faces.length, masked, emotions, boxes };
  }

  wanted(face, emotion) {
    const name = emotion === "auto" ? face.read : emotion;
    return EMOTIONS.includes(name) ? name : null;
  }

  async searchNew(picture) {
    const { detector } = this.unmasker;
    const followed = this.faces.map((face) => [face.score, ...face.box]);
    const boxes = distinctBoxes([...followed, ...(await detector.near(picture))]).slice(followed.length);
    const found = await detector.facesAt(picture, boxes, LEAST_LIVE_TRUST);
    this.faces.push(...found.slice(0, MOST_FACES - this.faces.length));
  }
}

function steadied(face, before) {
  const side = face.box[2] - face.box[0];
  const moved = face.points.reduce(
    (sum, [x, y], i) => sum + Math.hypot(x - before.points[i][0], y - before.points[i][1]),
    0,
  );
  const share = Math.min(1, STEADY + moved / face.points.length / side / MOVEMENT);
  const points = face.points.map(([x, y], i) => {
    const [u, v] = before.points[i];
    return [u + share * (x - u), v + share * (y - v)];
  });
  return { box: face.box, mesh: face.mesh, points };
}
