// Decide from further evidence whether a face that seems to have a mask is inpainted; as unmasking/mask_evidence.py.

import { SURELY_HIDDEN } from "./map.js";

const LEAST_AGREEMENT = 0.52;
const LEAST_TRUST = 0;
const LEAST_SUM = 1.6;
const PER_AGREEMENT = 0.8;
const PER_TRUST = 0.5;
const DARKEST = 16 / 255;
const LIGHTEST = 239 / 255;
const MOST_BLACK_OR_WHITE = 0.62;
const MAYBE_TURNED = 1.5;
const SURER = 0.33;

/** Return the intersection over union of the maps of a crop and of its mirror image. */
export function mapAgreement(occlusion, mirrored, size) {
  let shared = 0;
  let either = 0;
  for (let i = 0; i < occlusion.length; i++) {
    const x = i % size;
    const one = occlusion[i] > SURELY_HIDDEN;
    const other = mirrored[i - x + size - 1 - x] > SURELY_HIDDEN;
    shared += Number(one && other);
    either += Number(one || other);
  }
  return shared / Math.max(either, 1);
}

/** Return whether there is enough evidence for a face and its mask to inpaint it. */
export function isConvincing(face, crop, agreement) {
  let extreme = 0;
  for (let k = 0; k < crop.length; k += 3) {
    const grey = (crop[k] + crop[k + 1] + crop[k + 2]) / 3;
    extreme += Number(grey < DARKEST || grey > LIGHTEST);
  }
  if ((3 * extreme) / crop.length > MOST_BLACK_OR_WHITE) return false;
  const total = face.score + PER_AGREEMENT * agreement + PER_TRUST * face.trust;
  return agreement >= LEAST_AGREEMENT && face.trust >= LEAST_TRUST && total >= LEAST_SUM;
}

/** Return whether a detection is so weak that the face may be turned sideways or upside down. */
export function mayBeTurned(face) {
  return face.score + face.trust < MAYBE_TURNED;
}

/** Return whether a face has far more evidence than another face at the same place. */
export function isSurer(face, other) {
  return face.score + face.trust > other.score + other.trust + SURER;
}
