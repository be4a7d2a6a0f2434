// The page's packed files: fetched from the page's folder, or written inside the page that is a single file.

import { bytesOfText } from "./dense_text.js";
import { Refusal } from "./refusal.js";

const ADDRESSES = document.getElementById("addresses");
const PLACES = ADDRESSES ? JSON.parse(ADDRESSES.textContent) : {};

/** Names of all packed files. */
export function fileNames() {
  const inside = [...document.querySelectorAll('script[id^="file-"]')].map((each) => each.id.slice("file-".length));
  return ADDRESSES ? Object.keys(PLACES) : inside;
}

/** Return the content of a packed file as an ArrayBuffer. */
export async function packedFile(name) {
  if (!ADDRESSES) {
    const element = document.getElementById(`file-${name}`);
    const content = bytesOfText(element.textContent);
    // Megabytes of text are not needed twice.
    element.remove();
    return content;
  }
  try {
    const response = await fetch(new URL(PLACES[name], document.baseURI));
    if (response.ok) return await response.arrayBuffer();
  } catch {
    // A page opened from a disk may not fetch its files.
  }
  throw new Refusal("files");
}
