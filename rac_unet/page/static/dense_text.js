// Read bytes that were written as printable text; rac_unet/page/dense_text.py writes it.

const BITS = 13;

/** Return the ArrayBuffer of a text: the number of bytes, a blank, and characters of which two have 13 bits. */
export function bytesOfText(written) {
  const start = written.indexOf(" ") + 1;
  const out = new Uint8Array(Number(written.slice(0, start)));
  const digits = new Int16Array(128).fill(-1);
  let digit = 0;
  for (let code = 33; code < 127; code++) if (!"<>&".includes(String.fromCharCode(code))) digits[code] = digit++;
  let bits = 0;
  let waiting = 0;
  let to = 0;
  for (let i = start; to < out.length; i += 2) {
    bits = (bits << BITS) | (digits[written.charCodeAt(i)] * digit + digits[written.charCodeAt(i + 1)]);
    waiting += BITS;
    while (waiting >= 8 && to < out.length) {
      waiting -= 8;
      out[to++] = bits >> waiting;
    }
    bits &= (1 << waiting) - 1;
  }
  return out.buffer;
}
