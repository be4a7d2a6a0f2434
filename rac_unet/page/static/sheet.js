// The sheet of a face with all seven emotions.

import { text } from "./text.js";

/** Return a row of pictures with their names. pictures: ImageBitmaps, the photo's crop first. */
export function sheetRow(pictures, names) {
  const row = document.createElement("div");
  row.className = "sheet-row";
  pictures.forEach((picture, i) => {
    const name = i ? text(names[i - 1]) : text("sheet_photo");
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    canvas.width = picture.width;
    canvas.height = picture.height;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", name);
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    const caption = document.createElement("figcaption");
    caption.textContent = name;
    figure.append(canvas, caption);
    row.append(figure);
  });
  return row;
}
