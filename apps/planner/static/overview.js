// Brings the overview up to date while somebody looks at it: every 15 seconds, and not in a hidden tab.
// Without a script the page has its link for it. What comes is the page itself; nothing of it is run.
"use strict";

(() => {
  const EVERY = 15000;
  const live = document.getElementById("live");
  const pause = document.getElementById("pause");
  const told = document.getElementById("told");
  let paused = false;

  const say = (words) => { if (told.textContent !== words) told.textContent = words; };

  const look = async () => {
    if (paused || document.hidden) return;
    const answer = await fetch(location.pathname, { redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (fresh && fresh.innerHTML !== live.innerHTML) live.replaceChildren(...fresh.childNodes);
  };

  const turn = () => look().then(() => setTimeout(turn, EVERY), () => {
    // Signed out, or too many requests: whoever looks at it decides what happens next.
    paused = true;
    pause.hidden = true;
    say("No longer up to date. Press Refresh.");
  });

  pause.hidden = false;
  say("Up to date every 15 seconds.");
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    say(paused ? "Paused." : "Up to date every 15 seconds.");
  });
  setTimeout(turn, EVERY);
})();
