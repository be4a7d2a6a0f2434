// From a photo to the same photo with every face mask painted over; as rac_unet/unmasking/photo.py.
//
// A cut is a face of a photo, aligned, with the map of its mask: {face, points, crop, matrix, occlusion, hidden, where,
// usual, visible, convincing, edited, paintings}. hidden is the cleaned map, which a person may edit; where is hidden,
// grown; paintings are what the network has painted, by emotion.

import { alignedFace } from "./align.js";
import { FaceDetector } from "./detect.js";
import { isConvincing, isSurer, mapAgreement, mayBeTurned } from "./evidence.js";
import { runsOut, widerFrame, withoutEdges } from "./framing.js";
import { matchedToPhoto } from "./light.js";
import { boxAround, cleanedMap, grownMap } from "./map.js";
import { pastePainting } from "./paste.js";
import { transformed } from "./warp.js";

// In the order of the network's input, as in Python.
export const EMOTIONS = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"];
// A map that covers less of the face crop is no mask.
const LEAST_MASK = 0.08;
// Crop pixels around the map where the light counts: those that sharpening and resampling read.
const LIT = 8;

/** Return whether a face is painted: it has a mask, or someone has drawn one. */
export function isMasked(cut) {
  return cut.edited ? cut.where.area > 0 : cut.where.area >= LEAST_MASK && cut.convincing;
}

/** The networks, by name as in unpack.js, and a tile of noise; finds and paints faces. */
export class Unmasker {
  constructor(networks, grain) {
    this.inpainter = networks.inpainter;
    this.reader = networks.reader;
    this.grain = grain;
    this.size = this.inpainter.side;
    this.conditioned = this.inpainter.inputs.includes("emotion");
    this.detector = new FaceDetector(async (name, input) => Object.values(await networks[name].run([input])));
  }

  /** Return whether `auto` can be decided for this network. */
  get reads() {
    return this.conditioned && Boolean(this.reader || this.inpainter.outputs.includes("visible_emotion"));
  }

  /** Return the faces of a photo, aligned, each with the map of its mask. */
  async look(photo) {
    const found = await this.detector.detectAll(photo);
    const cuts = await this.turnedOver(photo, await this.judged(photo, found));
    return cuts.some(isMasked) ? cuts : this.withLying(photo, cuts);
  }

  /** Return [name, probability] of the emotion read from what can be seen of a face. */
  async readEmotion(cut) {
    const read = this.reader ? (await this.reader.run({ masked_image: cut.usual })).visible_emotion : cut.visible;
    const best = read.indexOf(Math.max(...read));
    return [EMOTIONS[best], read[best]];
  }

  /**
   * Return the painted crop of a face with an emotion, or null for none: (size, size, 3) floats in the photo's light.
   *
   * lightSize: as for matchedToPhoto.
   */
  async paint(cut, emotion, lightSize = undefined) {
    if (!cut.paintings.has(emotion)) cut.paintings.set(emotion, (await this.run(cut.crop, emotion)).painted_image);
    const box = boxAround(cut.where.weight, this.size, LIT) ?? undefined;
    return matchedToPhoto(cut.paintings.get(emotion), cut.crop, cut.where.ring, this.size, box, lightSize);
  }

  /** Paste what `paint` returned into a photo, in place; region, texture and the returned rectangle as for pastePainting. */
  paste(photo, region, cut, painted, texture = null) {
    return pastePainting(photo, region, painted, cut.crop, cut.where, this.size, cut.matrix, this.grain, texture);
  }

  /** Return the crop of a face with each of the emotions, for display: [before, ...seven], floats in [0, 1]. */
  async sheet(cut, photo) {
    const shown = (crop) => withoutEdges(crop, cut.matrix, photo, this.size);
    const pictures = [shown(cut.crop)];
    for (const emotion of EMOTIONS) {
      const lit = await this.paint(cut, emotion);
      const data = new Uint8ClampedArray(4 * this.size ** 2).fill(255);
      for (let i = 0, k = 0; i < data.length; i += 4, k += 3) {
        for (let c = 0; c < 3; c++) data[i + c] = 255 * cut.crop[k + c];
      }
      const picture = { width: this.size, height: this.size, data };
      pastePainting(picture, null, lit, cut.crop, cut.where, this.size, [1, 0, 0, 0, 1, 0], this.grain);
      const painted = new Float32Array(cut.crop.length);
      for (let i = 0, k = 0; i < data.length; i += 4, k += 3) {
        for (let c = 0; c < 3; c++) painted[k + c] = data[i + c] / 255;
      }
      pictures.push(shown(painted));
    }
    return pictures;
  }

  /** Return the face at known landmarks with the map of its mask, painted with an emotion or null in the same run. */
  async cut(photo, face, points, emotion = null) {
    const { crop, matrix } = alignedFace(photo, points, this.size);
    const seen = await this.run(crop, emotion);
    const cut = { face, points, crop, matrix, occlusion: seen.occlusion, usual: crop, visible: seen.visible_emotion };
    cut.paintings = new Map([[emotion, seen.painted_image]]);
    cut.hidden = cleanedMap(seen.occlusion, this.size);
    cut.found = cut.hidden;
    cut.convincing = true;
    cut.edited = false;
    return this.grow(cut);
  }

  /** Grow the cleaned map of a face again, after a change to it. */
  grow(cut) {
    const outline = (start) => cut.face.points.slice(start, start + 6).map((point) => transformed(cut.matrix, point));
    cut.where = grownMap(cut.hidden, this.size, [outline(36), outline(42)]);
    return cut;
  }

  async run(crop, emotion) {
    const label = Float32Array.from(EMOTIONS, (name) => Number(name === emotion));
    return this.inpainter.run(this.conditioned ? { masked_image: crop, emotion: label } : { masked_image: crop });
  }

  async judged(photo, faces) {
    const cuts = [];
    for (const face of faces) {
      let cut = await this.cut(photo, face, face.points);
      if (isMasked(cut) && runsOut(cut.where, cut.matrix, photo, this.size)) {
        const wide = await this.cut(photo, face, widerFrame(cut.points, cut.matrix, this.size));
        // The emotion is read where the network is used to see a face.
        if (isMasked(wide)) cut = { ...wide, usual: cut.usual, visible: cut.visible };
      }
      if (isMasked(cut)) cut.convincing = await this.isConvincing(cut);
      cuts.push(cut);
    }
    return cuts;
  }

  async isConvincing(cut) {
    const row = 3 * this.size;
    const mirrored = new Float32Array(cut.crop.length);
    for (let start = 0; start < mirrored.length; start += row) {
      for (let k = 0; k < row; k += 3) mirrored.set(cut.crop.subarray(start + k, start + k + 3), start + row - 3 - k);
    }
    const { occlusion } = await this.run(mirrored, null);
    return isConvincing(cut.face, cut.crop, mapAgreement(cut.occlusion, occlusion, this.size));
  }

  /** Return the faces, those replaced that were taken for upright masked ones but lie or stand on their heads. */
  async turnedOver(photo, cuts) {
    const doubtful = cuts.filter((cut) => isMasked(cut) && mayBeTurned(cut.face));
    const lying = doubtful.length ? await this.detector.detectTurned(photo) : [];
    const wrong = new Map();
    for (const cut of doubtful) {
      for (const face of lying) {
        const same = samePlace(face, cut.face) || samePlace(cut.face, face);
        if (same && isSurer(face, cut.face)) wrong.set(cut, face);
      }
    }
    const right = await this.judged(photo, [...new Set(wrong.values())]);
    return largestCutsFirst([...cuts.filter((cut) => !wrong.has(cut)), ...right]);
  }

  /** Return the faces of a photo without a masked one, those replaced that have a mask where the photo is turned. */
  async withLying(photo, cuts) {
    const lying = await this.detector.detectLying(
      photo,
      cuts.map((cut) => cut.face),
    );
    const masked = (await this.judged(photo, lying)).filter(isMasked);
    const kept = cuts.filter((cut) => !masked.some((other) => samePlace(cut.face, other.face)));
    return largestCutsFirst([...masked, ...kept]);
  }
}

function samePlace(face, other) {
  const [x, y] = [(face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2];
  return other.box[0] <= x && x <= other.box[2] && other.box[1] <= y && y <= other.box[3];
}

function largestCutsFirst(cuts) {
  return cuts.sort((one, other) => other.face.box[2] - other.face.box[0] - (one.face.box[2] - one.face.box[0]));
}
