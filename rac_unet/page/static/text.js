// The texts of the page, all from text.json.

const TEXT = JSON.parse(document.getElementById("texts").textContent);

/** Return a text with its {values} filled in. */
export function text(key, values = {}) {
  return TEXT[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Show a sentence in the status line, which screen readers announce. */
export function say(sentence, problem = false) {
  const line = document.getElementById("status");
  line.textContent = sentence;
  line.classList.toggle("problem", problem);
}

/** Show why something was refused. */
export function explain(error) {
  // For a report of the fault; the page itself says one sentence.
  if (error.key === undefined || error.key === "unexpected") console.error(error.detail ?? error);
  say(text(error.key ?? "unexpected"), true);
}
