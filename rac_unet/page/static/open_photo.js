// The photo that is open in the page: its faces, their edited maps, and its painted copy.

import { isMasked } from "./unmask.js";
import { markedPng } from "./png.js";
import { inverted, transformed } from "./warp.js";

export class OpenPhoto {
  constructor(picture, cuts, unmasker) {
    this.picture = picture;
    this.cuts = cuts;
    this.unmasker = unmasker;
    this.result = picture;
    this.region = null;
    // Rectangles [x0, y0, x1, y1] where the result may differ from the picture.
    this.changed = [];
  }

  /** Find the faces of a picture. */
  static async look(picture, unmasker) {
    return new OpenPhoto(picture, await unmasker.look(picture), unmasker);
  }

  get anyMasked() {
    return this.cuts.some(isMasked);
  }

  /** Return size and faces, with the emotion that is read from each. */
  async described() {
    const faces = [];
    for (const cut of this.cuts) {
      if (this.unmasker.reads) [cut.emotion, cut.confidence] = await this.unmasker.readEmotion(cut);
      faces.push(cut);
    }
    return { width: this.picture.width, height: this.picture.height, faces: this.facts() };
  }

  facts() {
    const size = this.unmasker.size;
    return this.cuts.map((cut) => ({
      box: cut.face.box,
      masked: isMasked(cut),
      edited: cut.edited,
      emotion: cut.emotion ?? null,
      confidence: cut.confidence ?? null,
      // The map and its place, to be shown while it is edited.
      map: cut.hidden,
      size,
      toPhoto: inverted(cut.matrix),
    }));
  }

  /** Paint all masked faces into a copy of the photo. */
  async paint(emotion) {
    this.restore();
    for (const cut of this.cuts.filter(isMasked)) {
      const name = emotion === "auto" ? (cut.emotion ?? null) : emotion === "none" ? null : emotion;
      const lit = await this.unmasker.paint(cut, name);
      const box = this.unmasker.paste(this.result, this.region, cut, lit);
      if (box) this.changed.push(box);
    }
  }

  /** Make the result the unpainted photo again. */
  restore() {
    const { width, height, data } = this.picture;
    if (!this.region) {
      this.result = { width, height, data: new Uint8ClampedArray(data) };
      this.region = new Uint8Array(width * height);
    }
    for (const [x0, y0, x1, y1] of this.changed) {
      for (let row = y0 * width; row < y1 * width; row += width) {
        this.result.data.set(data.subarray(4 * (row + x0), 4 * (row + x1)), 4 * (row + x0));
        this.region.fill(0, row + x0, row + x1);
      }
    }
    this.changed = [];
  }

  /** Return the photo or its result as an ImageBitmap whose sides are at most `side`. */
  preview({ width, height, data }, side) {
    const scale = Math.min(1, side / Math.max(width, height));
    const options = { resizeWidth: Math.max(1, Math.round(width * scale)), resizeQuality: "medium" };
    options.resizeHeight = Math.max(1, Math.round(height * scale));
    return createImageBitmap(new ImageData(data, width, height), scale < 1 ? options : undefined);
  }

  /** Return the part of the result's preview that is painted, {picture: ImageBitmap, left, top}; null if nothing is. */
  async paintedPart(side) {
    if (!this.changed.length) return null;
    const { width, height, data } = this.result;
    // A part that is resized on its own would not fit the rest exactly.
    if (side < Math.max(width, height)) return { picture: await this.preview(this.result, side), left: 0, top: 0 };
    const [left, top, right, bottom] = [0, 1, 2, 3].map((k) =>
      Math[k < 2 ? "min" : "max"](...this.changed.map((box) => box[k])),
    );
    const whole = new ImageData(data, width, height);
    return { picture: await createImageBitmap(whole, left, top, right - left, bottom - top), left, top };
  }

  /** Add a stroke (points in photo pixels) of this radius to the maps, or remove it. */
  brush(stroke, radius, add) {
    const { size } = this.unmasker;
    for (const cut of this.cuts) {
      const points = stroke.map((point) => transformed(cut.matrix, point));
      const reach = radius * Math.hypot(cut.matrix[0], cut.matrix[1]);
      const hidden = cut.hidden.slice();
      let changed = false;
      for (let i = 0; i < hidden.length; i++) {
        const x = i % size;
        const y = (i - x) / size;
        if (hidden[i] !== Number(add) && distanceToLine(points, x, y) <= reach) {
          hidden[i] = Number(add);
          changed = true;
        }
      }
      if (!changed) continue;
      cut.hidden = hidden;
      // A map that was not convincing counts from the first stroke that adds to it.
      if (!cut.edited && !isMasked(cut) && add) cut.hidden = hidden.map((value, i) => value & (1 - cut.found[i]));
      cut.edited = true;
      this.unmasker.grow(cut);
    }
  }

  /** Take all strokes back. */
  reset() {
    for (const cut of this.cuts.filter((each) => each.edited)) {
      cut.hidden = cut.found;
      cut.edited = false;
      this.unmasker.grow(cut);
    }
  }

  /** Return a face's crop and the crop with each emotion as ImageBitmaps. */
  async sheet(index) {
    const { size } = this.unmasker;
    const pictures = await this.unmasker.sheet(this.cuts[index], this.picture);
    return Promise.all(
      pictures.map((values) => {
        const data = new Uint8ClampedArray(4 * size * size).fill(255);
        for (let i = 0; i < size * size; i++) for (let c = 0; c < 3; c++) data[4 * i + c] = 255 * values[3 * i + c];
        return createImageBitmap(new ImageData(data, size, size));
      }),
    );
  }

  /** Return the result as a marked PNG file (bytes); label: text of a visible mark, or null. */
  async pngFile(label, version) {
    const { width, height, data } = this.result;
    const canvas = new OffscreenCanvas(width, height);
    const pen = canvas.getContext("2d");
    pen.putImageData(new ImageData(data, width, height), 0, 0);
    if (label && this.anyMasked) drawMark(pen, label, width, height);
    const file = await canvas.convertToBlob({ type: "image/png" });
    return markedPng(new Uint8Array(await file.arrayBuffer()), this.anyMasked, version);
  }
}

/** Write a word into the lower left corner, with letters of a thirtieth of the shorter side. */
function drawMark(pen, text, width, height) {
  const letter = Math.max(10, Math.round(Math.min(width, height) / 22));
  const edge = Math.max(2, Math.round(letter / 3));
  pen.font = `${letter}px sans-serif`;
  pen.fillStyle = "rgb(0 0 0 / 67%)";
  const tall = letter + 2 * edge;
  pen.fillRect(0, height - tall, pen.measureText(text).width + 2 * edge, tall);
  pen.fillStyle = "#fff";
  pen.textBaseline = "middle";
  pen.fillText(text, edge, height - tall / 2);
}

function distanceToLine(points, x, y) {
  let least = Infinity;
  for (let i = 0; i < points.length; i++) {
    const [x0, y0] = points[i];
    const [x1, y1] = points[Math.min(i + 1, points.length - 1)];
    const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    const along = length ? Math.min(Math.max(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0), 1) : 0;
    least = Math.min(least, Math.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)));
  }
  return least;
}
