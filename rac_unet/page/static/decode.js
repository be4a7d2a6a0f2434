// Decode picture files to pixels, upright, and refuse what cannot be used before it takes memory.

import { pictureSize } from "./header.js";
import { Refusal } from "./refusal.js";

// Larger pictures take more memory than a browser gives a page on a phone.
const MOST_PIXELS = 64e6;
const MOST_BYTES = 256e6;

/** Return the picture in a file (Blob), upright, transparent parts on white: {width, height, data}. */
export async function decodedPicture(file) {
  if (!file.size) throw new Refusal("emptyFile");
  if (file.size > MOST_BYTES) throw new Refusal("tooLarge");
  const size = await pictureSize(file);
  if (size && size.width * size.height > MOST_PIXELS) throw new Refusal("tooLarge");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Refusal(size ? "broken" : "unknownFormat");
  }
  try {
    if (bitmap.width * bitmap.height > MOST_PIXELS) throw new Refusal("tooLarge");
    return pixelsOf(bitmap);
  } finally {
    bitmap.close();
  }
}

/** Return the pixels of an ImageBitmap, on white. */
export function pixelsOf(bitmap) {
  const pen = penFor(bitmap);
  if (!pen) throw new Refusal("tooLarge");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, bitmap.width, bitmap.height);
  return pixelsDrawn(pen, bitmap);
}

/** Reads the frames of a camera, which are opaque and mostly of the same size. */
export class FrameReader {
  /** Return the pixels of a frame, an ImageBitmap. */
  pixelsOf(bitmap) {
    if (this.pen?.canvas.width !== bitmap.width || this.pen.canvas.height !== bitmap.height) this.pen = penFor(bitmap);
    return pixelsDrawn(this.pen, bitmap);
  }
}

function penFor({ width, height }) {
  return new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
}

function pixelsDrawn(pen, bitmap) {
  const { width, height } = bitmap;
  pen.drawImage(bitmap, 0, 0);
  const { data } = pen.getImageData(0, 0, width, height);
  return { width, height, data };
}

/** Refuse a browser that falsifies the pixels which a page reads, as some privacy add-ons do. */
export function checkCanvas() {
  const pen = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true });
  pen.fillStyle = "rgb(37 111 200)";
  pen.fillRect(0, 0, 16, 16);
  const { data } = pen.getImageData(0, 0, 16, 16);
  const expected = [37, 111, 200, 255];
  if (data.some((value, i) => value !== expected[i % 4])) throw new Refusal("falsified");
}
