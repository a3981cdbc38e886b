// The predictor of lib/newsserve/predictor.py in JavaScript: text in, topic with probabilities out.
import { Tokenizer } from "@huggingface/tokenizers";
import * as ort from "onnxruntime-web/wasm";
import { whyNot } from "./kind.js";

const MOST_PASSES = 60; // of the model, to weigh the words of one text

/** The bytes that a text stands for in base64. */
function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text); // not yet in every browser
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** The bytes of a data block of the page: gzip in base64. */
async function unpack(id) {
  const bytes = fromBase64(document.getElementById(id).textContent);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackJson(id) {
  return JSON.parse(new TextDecoder().decode(await unpack(id)));
}

export class Model {
  /** A model from the data blocks `wasm`, `onnx`, `tokenizer` and `serving` of this page. */
  static async load() {
    const [wasm, onnx, tokenizer, serving] = await Promise.all([
      unpack("wasm"),
      unpack("onnx"),
      unpackJson("tokenizer"),
      unpackJson("serving"),
    ]);
    ort.env.wasm.wasmBinary = wasm;
    ort.env.wasm.numThreads = 1; // several would need headers that a file does not have
    const session = await ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] });
    return new Model(session, tokenizer, serving);
  }

  constructor(session, tokenizer, serving) {
    this.session = session;
    // "<|pad|>" in a text is text, as it is for the server.
    this.tokenizer = new Tokenizer({ ...tokenizer, added_tokens: [] }, {});
    Object.assign(this, serving);
  }

  /** Token ids of a text, at most `max_length`, and whether there are more. */
  encode(text) {
    let length = 32 * this.max_length; // of a very long text no more is read than is needed
    for (;;) {
      const whole = text.length <= length;
      const head = whole ? text : text.slice(0, text.lastIndexOf(" ", length));
      const ids = this.tokenizer.encode(head, { add_special_tokens: false }).ids;
      if (whole || ids.length > this.max_length) {
        return { ids: ids.slice(0, this.max_length), truncated: ids.length > this.max_length };
      }
      length *= 4;
    }
  }

  /** What is said of one text; `probabilities` are [topic, probability], likeliest first. */
  async answer(text) {
    const { ids, truncated } = this.encode(text);
    const read = ids.length ? ids : [this.pad_token_id];
    const whole = BigInt64Array.from(read, BigInt);
    const inputs = {
      input_ids: new ort.Tensor("int64", whole, [1, read.length]),
      last: new ort.Tensor("int64", [BigInt(read.length - 1)], [1]),
    };
    const wanted = this.session.inputNames.map((name) => [name, inputs[name]]);
    const [scores] = Object.values(await this.session.run(Object.fromEntries(wanted)));
    const scaled = Array.from(scores.data, (score) => score / this.temperature);
    const most = Math.max(...scaled);
    const powers = scaled.map((score) => Math.exp(score - most));
    const sum = powers.reduce((a, b) => a + b);
    const probabilities = this.topics.map((topic, i) => [topic, powers[i] / sum]);
    probabilities.sort((a, b) => b[1] - a[1]);
    const [topic, probability] = probabilities[0];
    const reason = this.reason(text, ids, topic);
    const answered = reason === null && probability >= this.threshold;
    return { topic, probability, answered, probabilities, tokens: ids.length, truncated, reason };
  }

  /** Why this is not the model's kind of text; null when it is. */
  reason(text, ids, topic) {
    if (!ids.length) return "nothing can be read";
    return this.kind ? whyNot(this.tokenizer, this.kind, text, topic) : null; // older folders have none
  }

  /** How many of these words the model reads. */
  wordsRead(words) {
    let [low, high] = [0, words.length];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.encode(words.slice(0, middle).join(" ")).truncated) high = middle - 1;
      else low = middle;
    }
    return low;
  }

  /**
   * By how much the topic's probability falls without each word: occlusion.
   * Yields [first word, past the last, fall of each word] as it goes; neighbours that are left out
   * together share the fall.
   */
  async *explain(text) {
    const words = text.split(/\s+/).filter(Boolean);
    const read = words.slice(0, this.wordsRead(words));
    const size = Math.ceil(read.length / MOST_PASSES);
    const whole = await this.answer(read.join(" "));
    for (let start = 0; start < read.length; start += size) {
      const end = Math.min(start + size, read.length);
      const without = await this.answer([...read.slice(0, start), ...read.slice(end)].join(" "));
      const left = without.probabilities.find(([topic]) => topic === whole.topic)[1];
      yield [start, end, (whole.probability - left) / (end - start)];
    }
  }
}
