// The live camera: frames go to the worker and come back painted, one after the other.

import { ask } from "./engine.js";
import { Refusal } from "./refusal.js";

const WANTED = { video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" }, audio: false };
// The rate is the mean of this many frames.
const COUNTED = 20;

/** Paints the camera's frames into a canvas; report({rate, faces}) is called once for each. */
export class Camera {
  constructor(canvas, emotion, report) {
    this.canvas = canvas;
    this.emotion = emotion;
    this.report = report;
    this.video = null;
  }

  get running() {
    return this.video !== null;
  }

  /** Ask for the camera and start. Rejects with a Refusal. */
  async start() {
    if (!navigator.mediaDevices) throw new Refusal("camera_failed");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia(WANTED);
    } catch (error) {
      if (error.name === "NotAllowedError") throw new Refusal("camera_refused");
      throw new Refusal(error.name === "NotFoundError" ? "camera_missing" : "camera_failed");
    }
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.playsInline = true;
    this.video.srcObject = stream;
    await this.video.play();
    this.loop(this.video);
  }

  stop() {
    for (const track of this.video?.srcObject?.getTracks() ?? []) track.stop();
    this.video = null;
  }

  /** Return the camera's present picture, as it is, as a Blob. */
  async still() {
    const canvas = new OffscreenCanvas(this.video.videoWidth, this.video.videoHeight);
    canvas.getContext("2d").drawImage(this.video, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }

  async loop(video) {
    const times = [performance.now()];
    let restart = true;
    const paint = async () => {
      const bitmap = await createImageBitmap(video);
      const given = { bitmap, emotion: this.emotion(), restart };
      restart = false;
      return ask("frame", given, [bitmap]);
    };
    try {
      let painting = paint();
      while (this.video === video) {
        // The next frame is read while this one is painted, so that the worker never waits for the page.
        const next = nextFrame(video).then(paint);
        // A failure counts where the frame is awaited, and not at all after the camera has been stopped.
        next.catch(() => {});
        const painted = await painting;
        if (this.video !== video) break;
        this.show(painted);
        times.push(performance.now());
        if (times.length > COUNTED) times.shift();
        const rate = (1000 * (times.length - 1)) / (times[times.length - 1] - times[0]);
        this.report({ rate, faces: painted.faces });
        painting = next;
      }
    } catch (error) {
      // A camera that was stopped may have no frame any more.
      if (this.video !== video) return;
      this.stop();
      this.report({ error });
    }
  }

  show({ bitmap, parts }) {
    if (this.canvas.width !== bitmap.width) this.canvas.width = bitmap.width;
    if (this.canvas.height !== bitmap.height) this.canvas.height = bitmap.height;
    const pen = this.canvas.getContext("2d");
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    for (const { left, top, width, height, data } of parts) {
      pen.putImageData(new ImageData(data, width, height), left, top);
    }
  }
}

/** Wait until the camera has a new frame, and at most a tenth of a second. */
function nextFrame(video) {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, 100);
    if (!video.requestVideoFrameCallback) return;
    video.requestVideoFrameCallback(() => {
      clearTimeout(late);
      resolve();
    });
  });
}
