// The page: what happens when someone drops, chooses, edits or saves a picture.

import { Brush } from "./brush.js";
import { Camera } from "./camera.js";
import { ask, startEngine } from "./engine.js";
import { packedFile } from "./files.js";
import { Refusal } from "./refusal.js";
import { sheetRow } from "./sheet.js";
import { explain, say, text } from "./text.js";
import { View } from "./view.js";

const AUTO = "auto";
const NONE = "none";
// Longest side of the picture on the screen; it is painted and saved at full size.
const SHOWN = 1600;
const $ = (id) => document.getElementById(id);
const version = document.body.dataset.version;
const view = new View($("view"), $("divider"));
const brush = new Brush(view, $("brush-size"), strike);
const camera = new Camera($("live"), () => chosen("live-emotion"), showRate);
let emotions = [];
let photo = null;
let portrait;
// Counts the pictures opened, so that a late answer for an earlier one is not shown.
let opened = 0;

const engine = startEngine().then((started) => {
  emotions = started.emotions;
  const names = [...(started.reads || !emotions.length ? [AUTO] : []), ...emotions, ...(emotions.length ? [NONE] : [])];
  fillChoices($("emotions"), "emotion", names);
  fillChoices($("live-emotions"), "live-emotion", names);
  $("seven").hidden = !emotions.length;
  document.body.dataset.ready = String(Math.round(performance.now()));
  document.body.dataset.fast = String(started.fast);
});
engine.then(() => photo || opened || say(text("ready")), explain);

$("footer").textContent = text("footer", { version });
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
for (const id of ["choose", "take"]) {
  $(id).addEventListener("change", () => {
    take($(id).files);
    // The same file may be chosen again.
    $(id).value = "";
  });
}
$("try").addEventListener("click", async () => {
  try {
    portrait ??= new Blob([await packedFile("portrait")], { type: "image/jpeg" });
    await open(portrait, "portrait");
  } catch (error) {
    explain(error);
  }
});
$("emotions").addEventListener("change", () => repaint("paint"));
$("brush").addEventListener("change", ({ target }) => {
  if (target.name !== "brush") return;
  brush.choose(target.value);
  $("brush-options").hidden = !target.value;
});
$("brush-reset").addEventListener("click", () => repaint("reset"));
$("show-sheet").addEventListener("click", () => showSheet().catch(explain));
$("download").addEventListener("click", () => download().catch(explain));
$("use-camera").addEventListener("click", startCamera);
$("stop").addEventListener("click", stopCamera);
$("still").addEventListener("click", async () => {
  try {
    const picture = await camera.still();
    stopCamera();
    await open(picture, "camera");
  } catch (error) {
    explain(error);
  }
});

function take(files) {
  const file = [...files].find((each) => each.type.startsWith("image/")) ?? files[0];
  if (file) open(file, file.name);
  else say(text("noPicture"), true);
}

/** Open a picture, find its faces and paint them. */
async function open(file, name) {
  const turn = ++opened;
  say(text("looking"));
  try {
    await engine;
    const found = await ask("open", { file, side: SHOWN });
    if (turn !== opened) return;
    photo = { ...found, name };
    $("sheet").replaceChildren();
    check("emotion", 0);
    check("brush", 0);
    brush.choose("");
    $("brush-options").hidden = true;
    const shown = await ask("paint", { emotion: chosen("emotion"), side: SHOWN });
    if (turn !== opened) return;
    $("work").hidden = false;
    stopCamera();
    show(shown);
    say(summary());
    count("opened");
  } catch (error) {
    if (turn !== opened) return;
    $("work").hidden = true;
    photo = null;
    explain(error);
  }
  count("answered");
}

/** Count in an attribute of the page, by which tests see that something has been done. */
function count(what) {
  document.body.dataset[what] = String(Number(document.body.dataset[what] ?? 0) + 1);
}

/** Paint again: after a change of emotion, or of the map (request `reset`, or `brush` with a stroke). */
async function repaint(request, more = {}) {
  const turn = opened;
  try {
    const shown = await ask(request, { emotion: chosen("emotion"), side: SHOWN, ...more });
    if (turn !== opened) return;
    show(shown);
    if (request === "reset" || request === "paint") say(summary());
    $("sheet").replaceChildren();
  } catch (error) {
    if (turn === opened) explain(error);
  }
}

async function strike(stroke, radius, add) {
  await repaint("brush", { stroke, radius, add });
}

function show({ after, faces }) {
  photo.faces = faces;
  view.show(photo.before, after, faces, photo);
  const items = faces.map((face, i) => {
    const item = document.createElement("li");
    item.textContent = `${text("face", { number: i + 1 })}: ${described(face)}`;
    return item;
  });
  $("faces").replaceChildren(...items);
  $("brush-reset").disabled = !faces.some((face) => face.edited);
  $("show-sheet").disabled = !faces.some((face) => face.masked);
  count("painted");
}

function described(face) {
  if (!face.masked) return text("face_bare");
  const wanted = chosen("emotion");
  const parts = [];
  if (wanted !== AUTO) parts.push(text(wanted));
  else if (face.emotion) {
    parts.push(text("face_masked", { emotion: text(face.emotion), confidence: Math.round(100 * face.confidence) }));
  }
  if (face.edited) parts.push(text("face_edited"));
  return parts.join(", ");
}

function summary() {
  const { faces } = photo;
  const masked = faces.filter((face) => face.masked).length;
  const count = faces.length;
  const parts = [];
  if (!count) parts.push(text("no_face"));
  else if (!masked) parts.push(text("no_mask"));
  else parts.push(text(count === 1 ? "one_face" : "many_faces", { count, masked }));
  if (photo.animated) parts.push(text("animated"));
  return parts.join(" ");
}

async function showSheet() {
  const turn = opened;
  say(text("painting"));
  const rows = [];
  for (const [index, face] of photo.faces.entries()) {
    if (face.masked) rows.push(sheetRow(await ask("sheet", { face: index }), emotions));
  }
  if (turn !== opened) return;
  $("sheet").replaceChildren(...rows);
  say(summary());
}

async function download() {
  say(text("saving"));
  const label = $("mark").checked ? text("mark") : null;
  const content = await ask("save", { label, version });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "image/png" }));
  link.download = `${photo.name.replace(/\.[^.]*$/, "")}.unmasked.png`;
  link.click();
  // The browser has taken the file by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  say(text("saved", { name: link.download }));
}

async function startCamera() {
  try {
    await engine;
    await camera.start();
    opened++;
    photo = null;
    $("work").hidden = true;
    $("camera").hidden = false;
    say("");
  } catch (error) {
    explain(error);
  }
}

function stopCamera() {
  camera.stop();
  $("camera").hidden = true;
}

function showRate({ rate, faces, error }) {
  if (error) {
    stopCamera();
    explain(error instanceof Refusal ? error : new Refusal("unexpected"));
    return;
  }
  const found = faces === 1 ? text("camera_one") : text("camera_many", { count: faces });
  $("rate").textContent = text("camera_rate", { rate: rate.toFixed(0), faces: found });
  document.body.dataset.rate = rate.toFixed(1);
}

function fillChoices(fieldset, group, names) {
  const labels = names.map((name, i) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: group, value: name });
    input.checked = i === 0;
    const shown = document.createElement("span");
    shown.textContent = text(name);
    label.append(input, shown);
    return label;
  });
  fieldset.querySelector(".chips").replaceChildren(...labels);
}

function chosen(group) {
  return document.querySelector(`input[name="${group}"]:checked`)?.value ?? NONE;
}

function check(group, index) {
  document.querySelectorAll(`input[name="${group}"]`)[index].checked = true;
}
