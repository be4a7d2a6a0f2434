// Show a photo before and after, divided by a slider, and the found maps while they are edited.

/** The picture in the page: show(before, after, faces) sets it, everything else redraws it. */
export class View {
  constructor(canvas, divider) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.divider = divider;
    this.editing = false;
    // Place of the brush in canvas pixels, drawn for those who move it by keyboard.
    this.cursor = null;
    divider.addEventListener("input", () => this.draw());
  }

  /**
   * Show a photo and its painted copy.
   *
   * before: ImageBitmap. after: {picture: ImageBitmap, left, top}, the part of it that is painted; null if nothing is.
   * faces: as the worker describes them. photo: {width, height} at full size.
   */
  show(before, after, faces, photo) {
    if (this.before !== before) this.before?.close();
    this.after?.picture.close();
    Object.assign(this, { before, after, faces, photo });
    this.canvas.width = before.width;
    this.canvas.height = before.height;
    this.draw();
  }

  /** Canvas pixels per photo pixel. */
  get scale() {
    return this.canvas.width / this.photo.width;
  }

  draw() {
    const { pen, canvas, before, after } = this;
    if (!before) return;
    const { width, height } = canvas;
    // While the map is edited, the whole painted picture is shown.
    const split = this.editing ? 0 : Math.round((width * this.divider.value) / 100);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.drawImage(before, 0, 0);
    if (after) {
      const { picture, left, top } = after;
      const cut = Math.max(split - left, 0);
      const wide = picture.width - cut;
      if (wide > 0) pen.drawImage(picture, cut, 0, wide, picture.height, left + cut, top, wide, picture.height);
    }
    if (this.editing) this.drawMaps();
    else if (split && split < width) {
      const line = Math.max(2, width / 400);
      pen.fillStyle = "#fff";
      pen.fillRect(split - line / 2, 0, line, height);
    }
    if (this.cursor) this.drawCursor();
  }

  drawMaps() {
    for (const { map, size, toPhoto } of this.faces) {
      const tint = new OffscreenCanvas(size, size);
      const pixels = new ImageData(size, size);
      for (let i = 0; i < map.length; i++) if (map[i]) pixels.data.set([255, 60, 60, 90], 4 * i);
      tint.getContext("2d").putImageData(pixels, 0, 0);
      const [a, b, c, d, e, f] = toPhoto.map((value) => value * this.scale);
      this.pen.setTransform(a, d, b, e, c, f);
      // Crop pixel 0 is half a pixel wide to both sides of 0.
      this.pen.drawImage(tint, -0.5, -0.5);
    }
    this.pen.setTransform(1, 0, 0, 1, 0, 0);
  }

  drawCursor() {
    const { x, y, radius } = this.cursor;
    for (const [colour, width] of [
      ["#000", 4],
      ["#fff", 2],
    ]) {
      this.pen.strokeStyle = colour;
      this.pen.lineWidth = (width * this.canvas.width) / Math.max(this.canvas.clientWidth, 1);
      this.pen.beginPath();
      this.pen.arc(x, y, radius, 0, 2 * Math.PI);
      this.pen.stroke();
    }
  }
}
