// Write the mark "synthetic" into a PNG file; browsers write none of a picture's metadata themselves.
//
// The same mark as rac_unet/photos/metadata.py: a comment, and an XMP packet with IPTC's digital source type.

const SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia";
const NAMESPACE = "urn:x-rac-unet:1.0:";

/** Return a PNG file (bytes) with the mark. painted: whether a face was painted. */
export function markedPng(file, painted, version) {
  const text = painted ? `synthetic: face painted by rac_unet ${version}` : "rac_unet: no face painted";
  const source = painted ? `<Iptc4xmpExt:DigitalSourceType>${SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>` : "";
  const xmp =
    '<?xpacket begin="\uFEFF" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">' +
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' +
    `<rdf:Description rdf:about="" xmlns:rac_unet="${NAMESPACE}"` +
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">' +
    `<rac_unet:mark>${text}</rac_unet:mark>${source}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>`;
  const chunks = [chunk("tEXt", `Comment\0${text}`), chunk("iTXt", `XML:com.adobe.xmp\0\0\0\0\0${xmp}`)];
  // Signature and header are 33 bytes in every PNG file; text may follow anywhere after them.
  const parts = [file.subarray(0, 33), ...chunks, file.subarray(33)];
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function chunk(type, text) {
  const body = new TextEncoder().encode(type + text);
  const out = new Uint8Array(body.length + 8);
  const view = new DataView(out.buffer);
  view.setUint32(0, body.length - 4);
  out.set(body, 4);
  view.setUint32(4 + body.length, checksum(body));
  return out;
}

/** The CRC-32 of PNG chunks. */
function checksum(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
