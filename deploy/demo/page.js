// What the page does: asks the model when the text changes, and shows what it says.
import { Model } from "./model.js";

const WAIT = 150; // milliseconds after the last key
const FEW = 20; // words; an answer to fewer carries a warning
const at = (id) => document.getElementById(id);
let asked = 0; // the newest question; older ones stop when they see that they are old

function percent(p) {
  if (p > 0.9995) return "over 99.9 %";
  return p < 0.0005 ? "under 0.1 %" : `${(100 * p).toFixed(1)} %`;
}

function make(name, text, className) {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

function verdict(answer, threshold) {
  const likely = `${answer.topic}, ${percent(answer.probability)} likely`;
  if (answer.reason) {
    const why = `Not this model's kind of text: ${answer.reason}.`;
    return [answer.tokens ? `${why} Had it to choose: ${likely}.` : why, true];
  }
  if (answer.answered) return [likely, false];
  return [`Not sure. At best ${likely}; this model answers from ${percent(threshold)}.`, true];
}

function showAnswer(answer, threshold, words, milliseconds) {
  const [told, unsure] = verdict(answer, threshold);
  at("verdict").textContent = told;
  at("verdict").classList.toggle("unsure", unsure);
  const rows = answer.probabilities.map(([topic, p]) => {
    const row = make("li", "");
    const bar = make("span", "", "bar");
    bar.style.width = `${100 * p}%`;
    row.append(make("span", topic), make("span", percent(p), "percent"), bar);
    return row;
  });
  at("topics").replaceChildren(...rows);
  let note = `${answer.tokens} tokens (words and pieces of words) read in ${milliseconds} ms.`;
  if (answer.truncated) note += " The text is longer than the model reads: its end did not count.";
  if (words < FEW) note += " So short a text is easily misjudged.";
  at("note").textContent = note;
}

async function showWords(model, text, topic, isOld) {
  const words = text.split(/\s+/).filter(Boolean);
  const falls = [];
  at("words").replaceChildren();
  at("strongest").textContent = "Leaving words out and asking again …";
  for await (const [start, end, fall] of model.explain(text)) {
    if (isOld()) return;
    falls.push([words.slice(start, end).join(" "), fall, end]);
    await new Promise((resume) => setTimeout(resume)); // so that the page can be used meanwhile
  }
  const most = Math.max(0, ...falls.map(([, fall]) => fall));
  const strongest = [];
  for (const [phrase, fall] of falls) {
    const share = most > 0 ? fall / most : 0;
    const kind = share >= 0.5 ? "much" : share >= 0.2 ? "some" : share <= -0.3 ? "less" : "";
    if (share >= 0.2) strongest.push([fall, `“${phrase}”`]);
    at("words").append(kind ? make("mark", phrase, kind) : phrase, " ");
  }
  const rest = words.length - (falls.at(-1)?.[2] ?? 0);
  if (rest) at("words").append(make("span", `… ${rest} more words, not read`, "quiet"));
  strongest.sort((a, b) => b[0] - a[0]);
  const named = strongest.slice(0, 3).map(([, phrase]) => phrase).join(", ");
  const says = named ? `Strongest for ${topic}: ${named}.` : `No single word spoke for ${topic}.`;
  at("strongest").textContent = says;
}

async function ask(model) {
  const text = at("text").value;
  const number = ++asked;
  const words = text.split(/\s+/).filter(Boolean).length;
  at("answer").hidden = !words;
  if (!words) return;
  const began = performance.now();
  const answer = await model.answer(text);
  if (number !== asked) return;
  showAnswer(answer, model.threshold, words, Math.round(performance.now() - began));
  await showWords(model, text, answer.topic, () => number !== asked);
}

async function main() {
  const model = await Model.load();
  window.model = model; // for tests, and for the curious
  let timer;
  at("text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => ask(model), WAIT);
  });
  for (const button of document.querySelectorAll("button[data-text]")) {
    button.addEventListener("click", () => {
      at("text").value = button.dataset.text;
      ask(model);
    });
  }
  at("state").textContent = "The model is ready. Nothing that you type leaves this page.";
  document.body.dataset.ready = Math.round(performance.now());
  if (at("text").value.trim()) await ask(model);
}

main().catch((error) => {
  at("state").textContent = `The model could not be started in this browser: ${error.message}`;
});
