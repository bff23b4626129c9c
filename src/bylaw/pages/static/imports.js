// An import that is under way tells how far it is. Without this script the page refreshes itself.
"use strict";
(() => {
  const card = document.querySelector("[data-import]");
  if (!card) return;
  const bar = card.querySelector("progress");
  const said = card.querySelector("[data-said]");
  let pause = 700;
  let announced = 0;

  const show = (told) => {
    const progress = told.progress;
    if (progress.of) {
      bar.max = progress.of;
      bar.value = progress.done;
    }
    // A reader of screens is told every few seconds, not with each batch.
    if (Date.now() - announced > 4000) {
      announced = Date.now();
      said.textContent = told.cancelling ? "It ends with the batch that is under way." : told.progress_said;
    }
  };

  const ask = async () => {
    try {
      const reply = await fetch(card.dataset.import, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (reply.status === 429) {
        pause = 15000; // a limit: ask less often
        return setTimeout(ask, pause);
      }
      if (!reply.ok) return location.reload();
      const told = await reply.json();
      if (told.state !== card.dataset.state || !told.progress) return location.reload();
      show(told);
      pause = Math.min(pause * 1.15, 3000);
    } catch {
      pause = 5000; // away for a moment
    }
    setTimeout(ask, pause);
  };
  setTimeout(ask, pause);
})();
