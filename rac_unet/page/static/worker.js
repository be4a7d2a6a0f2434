// The worker: it has the networks and the open photo, and answers the page's requests one after the other.

import { FollowedFaces } from "./camera_faces.js";
import { checkCanvas, decodedPicture, FrameReader } from "./decode.js";
import { pictureSize } from "./header.js";
import { hasRelaxedSimd, Runtime } from "./litert.js";
import { OpenPhoto } from "./open_photo.js";
import { Refusal } from "./refusal.js";
import { cropped } from "./resize.js";
import { EMOTIONS, Unmasker } from "./unmask.js";
import { gunzipped, patched, unsorted } from "./unpack.js";

let unmasker;
let photo;
let followed;
const frames = new FrameReader();

const REQUESTS = {
  /** Start LiteRT and open the networks. files: packed files by name. */
  async start({ files }) {
    if (typeof WebAssembly !== "object") throw new Refusal("noWasm");
    if (typeof OffscreenCanvas !== "function" || typeof DecompressionStream !== "function")
      throw new Refusal("oldBrowser");
    checkCanvas();
    const fast = hasRelaxedSimd();
    const unpacked = Object.fromEntries(
      await Promise.all(
        Object.entries(files)
          .filter(([name, file]) => file instanceof ArrayBuffer && !(fast && name === "compatible"))
          .map(async ([name, file]) => [name, await gunzipped(file)]),
      ),
    );
    const binary = fast ? unpacked.wasm : patched(unpacked.wasm, unpacked.compatible);
    // Defined by LiteRT's scripts, which come before this one.
    const factory = fast ? self.liteRtFast() : self.liteRtCompatible();
    const runtime = await Runtime.start(factory, binary);
    const networks = {};
    for (const name of ["near", "far", "mesh", "inpainter", "reader"]) {
      if (unpacked[name]) networks[name] = await runtime.open(unsorted(unpacked[name]));
    }
    const grain = Float32Array.from(new Int8Array(unpacked.grain.buffer), (value) => value / 28);
    unmasker = new Unmasker(networks, grain);
    return { emotions: unmasker.conditioned ? EMOTIONS : [], reads: unmasker.reads, fast };
  },

  /** Decode a picture file and find its faces. side: longest side of the returned preview. */
  async open({ file, side }) {
    photo = null;
    const size = await pictureSize(file);
    const picture = await decodedPicture(file);
    photo = await OpenPhoto.look(picture, unmasker);
    const before = await photo.preview(picture, side);
    return { value: { ...(await photo.described()), animated: Boolean(size?.animated), before }, transfer: [before] };
  },

  /**
   * Paint every masked face. emotion: a name, `auto` or `none`.
   *
   * Returns {after, faces}: the painted part of the preview whose longest side is `side`, and the faces.
   */
  async paint({ emotion, side }) {
    await photo.paint(emotion);
    return painted(side);
  },

  /** Add a stroke to the maps of the faces that it touches, or remove it, and paint these again. */
  async brush({ stroke, radius, add, emotion, side }) {
    photo.brush(stroke, radius, add);
    await photo.paint(emotion);
    return painted(side);
  },

  /** Take all strokes back. */
  async reset({ emotion, side }) {
    photo.reset();
    await photo.paint(emotion);
    return painted(side);
  },

  /** Return a face's crop and the crop with each emotion, as pictures. */
  async sheet({ face }) {
    const pictures = await photo.sheet(face);
    return { value: pictures, transfer: pictures };
  },

  /** Return the painted photo as a PNG file with the mark in its metadata. label: text of a visible mark, or null. */
  async save({ label, version }) {
    const file = await photo.pngFile(label, version);
    return { value: file.buffer, transfer: [file.buffer] };
  },

  /** Return the pixels of the painted photo, for tests: {width, height, data, region}. */
  async pixels() {
    return { ...photo.result, region: photo.region };
  },

  /**
   * Paint a frame of the camera.
   *
   * Returns {bitmap, parts, faces, masked, emotions}: the frame as it was given, and the painted parts of it, each
   * {left, top, width, height, data}.
   */
  async frame({ bitmap, emotion, restart }) {
    if (restart || !followed) followed = new FollowedFaces(unmasker);
    const picture = frames.pixelsOf(bitmap);
    const { boxes, ...found } = await followed.paint(picture, emotion);
    const parts = boxes.map(([left, top, right, bottom]) => ({
      left,
      top,
      ...cropped(picture, left, top, right - left, bottom - top),
    }));
    // A painted frame is mostly what was given; the page draws it while the next one is painted.
    return { value: { bitmap, parts, ...found }, transfer: [bitmap, ...parts.map((part) => part.data.buffer)] };
  },
};

async function painted(side) {
  const after = await photo.paintedPart(side);
  return { value: { after, faces: photo.facts() }, transfer: after ? [after.picture] : [] };
}

let last = Promise.resolve();

self.onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};

async function answer({ id, request, ...given }) {
  try {
    const result = await REQUESTS[request](given);
    const { value, transfer } = result?.transfer ? result : { value: result, transfer: [] };
    self.postMessage({ id, value }, transfer);
  } catch (error) {
    // What browsers throw when a large array or canvas cannot be made.
    const memory = /allocation|out of memory|quota/i.test(`${error?.name} ${error?.message}`);
    const key = error instanceof Refusal ? error.key : memory ? "memory" : "unexpected";
    self.postMessage({ id, refusal: key, detail: String(error?.message ?? error) });
  }
}
