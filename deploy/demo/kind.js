// lib/newsserve/kind.py again: is a text of the kind that the model learned from?
const LOOKED_AT = 1000; // characters of a text; more would say the same
const STRONGEST = 4; // marking tokens that count

const letters = (text) => (text.match(/\p{L}/gu) ?? []).length;

/** The share of its letters that the tokenizer keeps. */
function lettersKept(tokenizer, text, tokens) {
  const all = letters(text);
  const read = tokenizer.normalizer ? tokenizer.normalizer(text) : text;
  const unknown = tokens.filter((token) => token === tokenizer.model.unk_token);
  return all ? Math.max(0, letters(read) - unknown.length) / all : 1;
}

/** The mean of the strongest marks. */
function strongest(marks) {
  return marks.sort((a, b) => b - a).slice(0, STRONGEST).reduce((a, b) => a + b, 0) / STRONGEST;
}

/** Why a text answered with `topic` is not of this kind, as the end of a sentence; null when it is. */
export function whyNot(tokenizer, kind, text, topic) {
  const head = [...text].slice(0, LOOKED_AT).join("");
  const { ids, tokens } = tokenizer.encode(head, { add_special_tokens: false });
  const words = head.split(/\s+/).filter(Boolean).length;
  const kept = /^\p{ASCII}*$/u.test(head) ? 1 : lettersKept(tokenizer, head, tokens);
  if (kept < kind.letters) {
    return `${Math.round(100 * (1 - kept))}% of its letters are unknown to the model`;
  }
  const pieces = ids.length / Math.max(words, 1);
  const shared = ids.filter((id) => kind.common.includes(id)).length / Math.max(ids.length, 1);
  if (pieces > kind.pieces || (pieces > kind.suspect && shared < kind.shared)) {
    return `its words fall into ${pieces.toFixed(1)} pieces each: another language, or noise`;
  }
  if (words < kind.words) return `it is too short: fewer than ${kind.words} words`;
  const known = [...new Set(ids)];
  const best = (id) => Math.max(0, ...Object.values(kind.marks).map((marks) => marks[id] ?? 0));
  const marking = strongest(known.map(best))
    + strongest(known.map((id) => kind.marks[topic]?.[id] ?? 0));
  if (marking < kind.marked) return "too few of its words mark its topic";
  return null;
}
