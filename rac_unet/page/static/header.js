// Read a picture's size and whether it is animated from the first bytes of its file, without decoding it.

const START = 65536;

/** Return {width, height, animated} of a PNG, JPEG, GIF, WebP or BMP file; null for any other. */
export async function pictureSize(file) {
  const bytes = new Uint8Array(await file.slice(0, START).arrayBuffer());
  if (bytes.length < 30) return null;
  const view = new DataView(bytes.buffer);
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (text.startsWith("\x89PNG")) {
    return { width: view.getUint32(16), height: view.getUint32(20), animated: times(bytes, "acTL") > 0 };
  }
  if (text.startsWith("GIF8")) {
    // Each frame of an animation has a graphic control extension.
    const animated = times(new Uint8Array(await file.slice(0, 16 * START).arrayBuffer()), "\x21\xf9\x04") > 1;
    return { width: view.getUint16(6, true), height: view.getUint16(8, true), animated };
  }
  if (text.startsWith("BM")) {
    return { width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)), animated: false };
  }
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return webpSize(view, text.slice(12, 16));
  if (text.startsWith("\xff\xd8")) return jpegSize(file);
  return null;
}

function webpSize(view, kind) {
  if (kind === "VP8X") {
    const animated = Boolean(view.getUint8(20) & 2);
    const three = (at) => 1 + (view.getUint32(at, true) & 0xffffff);
    return { width: three(24), height: three(27), animated };
  }
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff), animated: false };
  }
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff, animated: false };
}

async function jpegSize(file) {
  // Metadata and thumbnails may take some hundred kilobytes before the size.
  const view = new DataView(await file.slice(0, 16 * START).arrayBuffer());
  let at = 2;
  while (at + 9 < view.byteLength && view.getUint8(at) === 0xff) {
    const marker = view.getUint8(at + 1);
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: view.getUint16(at + 7), height: view.getUint16(at + 5), animated: false };
    }
    at += 2 + view.getUint16(at + 2);
  }
  return { width: 0, height: 0, animated: false };
}

function times(bytes, word) {
  return new TextDecoder("latin1").decode(bytes).split(word).length - 1;
}
