// `node build.js FOLDER PAGE`: the model folder's int8 model in one HTML file that asks for nothing.
// FOLDER has serving.json, tokenizer.json and the ONNX file. `make demo` calls it by tools/demo.py,
// which gives the page around the script and the data on standard input.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const [folder, page] = process.argv.slice(2);
const serving = JSON.parse(readFileSync(join(folder, "serving.json"), "utf8"));
const files = {
  wasm: "node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm",
  onnx: join(folder, serving.model),
  tokenizer: join(folder, "tokenizer.json"),
  serving: join(folder, "serving.json"),
};

const built = await build({
  entryPoints: ["page.js"],
  bundle: true,
  format: "esm",
  minify: true,
  charset: "utf8",
  target: "es2022",
  legalComments: "eof", // the licences of what is inside
  write: false,
});
// "</script" inside a string would end the element.
const script = built.outputFiles[0].text.replaceAll("</script", "<\\/script");
const hash = createHash("sha256").update(script).digest("base64");

const blocks = Object.entries(files).map(([id, file]) => {
  const packed = gzipSync(readFileSync(file), { level: 9 }).toString("base64");
  return `<script type="application/gzip" id="${id}">${packed}</script>`;
});
const html = readFileSync(0, "utf8")
  .replace("{script-hash}", hash)
  .replace("<!-- data -->", () => blocks.join("\n"))
  .replace("<!-- script -->", () => `<script type="module">${script}</script>`);
writeFileSync(page, html);
