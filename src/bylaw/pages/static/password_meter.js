// How strong a password is, asked of this site a moment after the last key. The form works without it: the
// same rules judge what is sent. Nothing that is typed is kept here, and text says what colour shows.
"use strict";

for (const meter of document.querySelectorAll("[data-strength]")) {
  const input = document.getElementById(meter.dataset.for);
  if (input && input.form) watch(meter, input);
}

function watch(meter, input) {
  const label = meter.querySelector("b");
  const text = meter.querySelector(".meter-said span");
  const hint = text.textContent;
  let timer = 0;
  let asked = null;

  function show(score, title, said) {
    meter.dataset.score = score;
    label.textContent = title;
    text.textContent = said;
  }

  function value(name) {
    const field = input.form.elements[name];
    return field && field !== input && typeof field.value === "string" ? field.value : "";
  }

  async function ask() {
    const password = input.value;
    if (!password) return show("", "", hint);
    asked = new AbortController();
    const values = { password };
    for (const name of ["email", "name"]) {
      if (value(name)) values[name] = value(name).slice(0, name === "email" ? 254 : 120);
    }
    try {
      const answer = await fetch(meter.dataset.strength, {
        method: "POST",
        credentials: "same-origin",
        cache: "no-store",
        headers: { "Content-Type": "application/json", [meter.dataset.header]: value(meter.dataset.token) },
        body: JSON.stringify(values),
        signal: asked.signal,
      });
      if (!answer.ok) throw new Error(answer.status);
      const found = await answer.json();
      const needed = found.needed.length ? `Needed: ${found.needed.join("; ")}.` : "";
      show(found.score, `${found.label}.`, [needed, ...found.advice.slice(0, needed ? 1 : 2)].filter(Boolean).join(" "));
    } catch (error) {
      // Too many questions, or no line: no word is better than a wrong one.
      if (error.name !== "AbortError") show("", "", "");
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (asked) asked.abort();
    timer = setTimeout(ask, 350);
  });
  meter.hidden = false;
}
