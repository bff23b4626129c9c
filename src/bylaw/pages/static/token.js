// A card's code leads here with the token behind the `#`, which no browser sends and no server logs. It leaves the
// address at once, before anything else of the page is there, and is put into the form; whoever came presses the
// button himself: a link must not sign anybody in.
"use strict";
(() => {
  const text = location.hash;
  if (!text.startsWith("#t=")) return;
  history.replaceState(null, "", location.pathname + location.search);
  document.addEventListener("DOMContentLoaded", () => {
    const form = document.querySelector("form[data-token]");
    if (!form) return;
    try {
      form.elements.token.value = decodeURIComponent(text.slice(3));
    } catch {
      return; // no text that anybody meant
    }
    document.querySelector("[data-token-filled]")?.removeAttribute("hidden");
    form.querySelector("button").focus();
  });
})();
