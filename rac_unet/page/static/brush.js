// Paint on the found map, by pointer or keyboard.

const KEY_STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Let a person paint on a view.
 *
 * size: the slider of the brush's size. apply: async (stroke, radius, add) -> nothing, with points in photo pixels; while
 * it runs, points are gathered.
 */
export class Brush {
  constructor(view, size, apply) {
    this.view = view;
    this.size = size;
    this.apply = apply;
    this.mode = "";
    this.stroke = [];
    this.busy = false;
    const { canvas } = view;
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  /** mode: `add`, `remove`, or empty to stop painting. */
  choose(mode) {
    this.mode = mode;
    const { view } = this;
    view.editing = Boolean(mode);
    view.cursor = null;
    view.canvas.classList.toggle("brushing", Boolean(mode));
    if (mode) view.canvas.setAttribute("tabindex", "0");
    else view.canvas.removeAttribute("tabindex");
    view.draw();
  }

  /** Radius in canvas pixels: the slider's value is in percent of the shorter side. */
  get radius() {
    const { width, height } = this.view.canvas;
    return (this.size.value / 200) * Math.min(width, height);
  }

  press(event) {
    if (!this.mode || event.button) return;
    this.view.canvas.setPointerCapture(event.pointerId);
    this.add(this.place(event));
    event.preventDefault();
  }

  move(event) {
    if (!this.mode) return;
    const place = this.place(event);
    this.show(place);
    if (event.buttons & 1 || event.pointerType === "touch") this.add(place);
  }

  leave() {
    if (!this.mode) return;
    this.view.cursor = null;
    this.view.draw();
  }

  key(event) {
    if (!this.mode) return;
    const { canvas } = this.view;
    const at = this.view.cursor ?? { x: canvas.width / 2, y: canvas.height / 2 };
    const step = KEY_STEPS[event.key];
    if (step) this.show([at.x + (step[0] * this.radius) / 2, at.y + (step[1] * this.radius) / 2]);
    else if (event.key === " " || event.key === "Enter") {
      this.show([at.x, at.y]);
      this.add([at.x, at.y]);
    } else return;
    event.preventDefault();
  }

  place(event) {
    const { canvas } = this.view;
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  show([x, y]) {
    const { width, height } = this.view.canvas;
    const inside = { x: Math.min(Math.max(x, 0), width), y: Math.min(Math.max(y, 0), height) };
    this.view.cursor = { ...inside, radius: this.radius };
    this.view.draw();
  }

  add([x, y]) {
    const { scale } = this.view;
    this.stroke.push([x / scale, y / scale]);
    this.send();
  }

  async send() {
    if (this.busy || !this.stroke.length) return;
    this.busy = true;
    const stroke = this.stroke;
    this.stroke = [];
    await this.apply(stroke, this.radius / this.view.scale, this.mode === "add");
    this.busy = false;
    this.send();
  }
}
