#!/usr/bin/env bash
# pdfkit 0.20.2 (npm; its reader is png-js 2.0.0): an indexed PNG of 1, 2 or 4 bits with a transparent colour gets a wrong
# mask. The opacity of each pixel is looked up by bytes of packed pixels, as if there were one pixel in a byte; so a
# few pixels at the top have the opacity of some other pair, and the rest of the mask, half of the picture with 4
# bits and seven eighths with 1, is transparent. With 8 bits, and without transparency, all is right. A grey
# PNG with a transparent level loses black, whatever that level is: only the upper of its two bytes is read.
#
# Why it matters here: pictures in up to sixteen colours, and sprites above all, are written with 4 bits or fewer
# and a transparent entry. In a PDF by pdfkit they lose their lower part. Convert such a picture to RGBA first;
# jsPDF 4.2.1, pdf-lib 1.17.1, reportlab 5.1.0 and fpdf2 2.8.9 show it as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > package.txt
npm install --silent --no-audit --no-fund pdfkit@0.20.2 png-js@2.0.0 > install.txt
cat > masks.mjs <<'EOF2'
import PDFDocument from "pdfkit";
import zlib from "zlib";

const [WIDTH, HEIGHT] = [16, 8];
const index = (x, y, bits) => (5 * x + 3 * y + x * y) % (1 << bits);

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length);
  body.copy(out, 4);
  out.writeUInt32BE(zlib.crc32(body), body.length + 4);
  return out;
}

// A PNG of colour type 3 whose entry 0 is transparent, or of type 0 whose white is.
function file(bits, type) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(WIDTH);
  head.writeUInt32BE(HEIGHT, 4);
  head[8] = bits;
  head[9] = type;
  const row = 1 + (WIDTH * bits) / 8;
  const rows = Buffer.alloc(row * HEIGHT);
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++)
      rows[y * row + 1 + ((x * bits) >> 3)] |= index(x, y, bits) << (8 - bits - ((x * bits) & 7));
  const colors = Buffer.alloc(3 << bits, 200);
  const palette = type === 3 ? [chunk("PLTE", colors)] : [];
  const clear = Buffer.from(type === 3 ? [0] : [0, (1 << bits) - 1]);
  const data = chunk("IDAT", zlib.deflateSync(rows));
  const parts = [chunk("IHDR", head), ...palette, chunk("tRNS", clear), data, chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), ...parts]);
}

// What pdfkit writes, as bytes without compression of pages (its pictures are compressed all the same).
const document = (png) =>
  new Promise((done) => {
    const parts = [];
    const pdf = new PDFDocument({ compress: false });
    pdf.on("data", (part) => parts.push(part)).on("end", () => done(Buffer.concat(parts)));
    pdf.image(png, 0, 0);
    pdf.end();
  });

// The soft mask of the picture: the stream of the only object in 8 bits of grey.
function mask(pdf) {
  const text = pdf.toString("latin1");
  const object = text.split("endobj").find((part) => /DeviceGray/.test(part) && /stream/.test(part));
  const at = object.indexOf("stream") + "stream".length;
  const data = Buffer.from(object.slice(at).replace(/^\r?\n/, ""), "latin1");
  return zlib.inflateSync(data);
}

let seen = true;
console.log("bits   pixels of 128 that are opaque: should be, are   last opaque row of 8   opacities right");
for (const bits of [1, 2, 4, 8]) {
  const got = mask(await document(file(bits, 3)));
  const want = [...Array(WIDTH * HEIGHT).keys()].map((i) => (index(i % WIDTH, (i / WIDTH) | 0, bits) ? 255 : 0));
  const opaque = (values) => values.filter((value) => value === 255).length;
  const last = Math.floor(got.lastIndexOf(255) / WIDTH) + 1;
  const right = want.filter((value, i) => value === got[i]).length;
  console.log(String(bits).padStart(4), String(opaque(want)).padStart(41), String(opaque([...got])).padStart(5), String(last).padStart(22), String(right).padStart(17));
  seen = seen && (bits === 8 ? right === 128 : right < 110 && last <= bits);
}
const grey = (await document(file(8, 0))).toString("latin1").match(/\/Mask \[([^\]]*)\]/)[1];
console.log("grey of 8 bits whose level 255 is transparent: pdfkit masks", grey);
process.exit(seen && grey === "0 0" ? 0 : 1);
EOF2
node masks.mjs
