// Run the page's algorithm on vectors that Python made, for tests/page/test_parity.py.

import { alignedFace } from "./align.js";
import { cleanedMap, grownMap } from "./map.js";
import { matchedToPhoto } from "./light.js";
import { pastePainting } from "./paste.js";
import { averagedDown, halved, resizedByArea, resizedLinearly } from "./resize.js";
import { SteadyTexture } from "./texture.js";
import { warped } from "./warp.js";

const floats = (text) => new Float32Array(bytes(text).buffer);
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const picture = ({ width, height, data }) => ({ width, height, data: new Uint8ClampedArray(bytes(data).buffer) });

function text(values) {
  const all = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let out = "";
  for (let i = 0; i < all.length; i += 8192) out += String.fromCharCode(...all.subarray(i, i + 8192));
  return btoa(out);
}

window.resized = ({ photo, how, width, height, factor, matrix }) => {
  const given = picture(photo);
  if (how === "half") return text(halved(given).data);
  if (how === "down") return text(averagedDown(given, factor).data);
  if (how === "linear") return text(resizedLinearly(given, width, height).data);
  if (how === "area") return text(resizedByArea(given, width, height).data);
  return text(warped(given, matrix, width, height, how === "replicated").data);
};

window.aligned = ({ photo, points, size }) => {
  const { crop, matrix } = alignedFace(picture(photo), points, size);
  return { crop: text(crop), matrix };
};

window.mapped = ({ occlusion, eyes, size }) => {
  const hidden = cleanedMap(floats(occlusion), size);
  const { weight, ring, area } = grownMap(hidden, size, eyes);
  return { hidden: text(hidden), weight: text(weight), ring: text(ring), area };
};

window.pasted = ({ photo, painted, crop, weight, ring, matrix, size, grain }) => {
  const where = { weight: floats(weight), ring: bytes(ring) };
  const given = picture(photo);
  const region = new Uint8Array(given.width * given.height);
  const lit = matchedToPhoto(floats(painted), floats(crop), where.ring, size);
  pastePainting(given, region, lit, floats(crop), where, size, matrix, floats(grain));
  return { data: text(given.data), region: text(region) };
};

// What a face's texture is in each frame if these values are measured, one after the other.
window.kept = ({ frames, measured }) => {
  const texture = new SteadyTexture();
  const left = [...measured];
  return Array.from({ length: frames }, () => {
    const values = texture.kept("amounts", () => left.shift());
    texture.next();
    return values;
  });
};
